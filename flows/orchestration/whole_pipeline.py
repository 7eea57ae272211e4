"""The flow of dvc.yaml's stages in the checkout at hand."""

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows import page
from flows.judge.stage_outcomes import FAILED, Outcome, PipelineFailed
from flows.orchestration import artifacts
from flows.repo import checkout, dvc_graph
from flows.system import logs
from flows.system.variables import environment
from flows.tasks.stage_tasks import FORCE, How, run_stages
from gan import source_state
from gan.files import run_lock


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def pipeline(root: str = ".", stages: list[str] | None = None, force: bool = False) -> list[Outcome]:
    """Reproduce ``stages`` and all they need, or the whole of dvc.yaml; return each one's outcome.

    Where a stage fails, what depends on it is not run and everything else is; then raises
    PipelineFailed. Raises UserError when another run is under way in the same folder.
    """
    logs.shorten()
    folder = checkout.project(root)
    with run_lock(checkout.lock_name(folder, "pipeline")):
        if dvc_graph.mend(folder):
            logs.logger().warning("a killed run had left DVC's .dvc/tmp/rwlock half-written; removed it")
        if source_state.refresh(folder):
            logs.logger().info("the source changed since it was last looked at")
        plan = dvc_graph.plan(folder, stages or ())
        outcomes = run_stages(plan, folder, How(environment(folder), FORCE if force else ()))
    if any(row.outcome == FAILED for row in outcomes):
        raise PipelineFailed(outcomes)
    with logs.unharmed("the report with revision, machine and time"):
        page.write(folder)
    artifacts.grid(folder)
    return outcomes
