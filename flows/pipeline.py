"""dvc.yaml's own stages as Prefect tasks: `python -m flows.pipeline`.

DVC owns the graph and does the work, one `dvc repro` a stage; this decides when. Stages that do
not need one another run side by side, and dvc.lock becomes what `dvc repro` makes of it.
"""

from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows import graph, logs, page, places, show
from flows.command_line import Parser, ending
from flows.environment import environment
from flows.outcome import FAILED, Outcome, PipelineFailed, summary
from flows.server import server
from flows.stages import FORCE, How, run_stages
from gan.files import run_lock


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def pipeline(root: str = ".", stages: list[str] | None = None, force: bool = False) -> list[Outcome]:
    """Reproduce ``stages`` and all they need, or the whole of dvc.yaml; return each one's outcome.

    Where a stage fails, what depends on it is not run and everything else is; then raises
    PipelineFailed. Raises UserError when another run is under way in the same folder.
    """
    logs.shorten()
    folder = places.project(root)
    with run_lock(places.lock_name(folder, "pipeline")):
        if graph.mend(folder):
            logs.logger().warning("a killed run had left DVC's .dvc/tmp/rwlock half-written; removed it")
        plan = graph.plan(folder, stages or ())
        outcomes = run_stages(plan, folder, How(environment(folder), FORCE if force else ()))
    if any(row.outcome == FAILED for row in outcomes):
        raise PipelineFailed(outcomes)
    with logs.unharmed("the report with revision, machine and time"):
        page.write(folder)
    show.grid(folder)
    return outcomes


def main() -> None:
    """Run the pipeline of the current folder from the command line."""
    parser = Parser(prog="python -m flows.pipeline", description=pipeline.__doc__)
    parser.add_argument("--force", action="store_true", help="run every stage, changed or not")
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help="only this one and what it needs; may be repeated"
    )
    arguments = parser.parse_args()
    with ending():
        try:
            with server():
                outcomes = pipeline(".", arguments.stage, arguments.force)
        except PipelineFailed as error:
            print(summary(error.outcomes, Path()), flush=True)
            raise
    print(summary(outcomes, Path()))


if __name__ == "__main__":
    main()
