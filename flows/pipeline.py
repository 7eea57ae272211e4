"""dvc.yaml's own stages as Prefect tasks: `python -m flows.pipeline`.

DVC owns the graph and does the work, one `dvc repro` a stage; this decides when. Stages that do
not need one another run side by side, and dvc.lock becomes what `dvc repro` makes of it.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flows import page
from flows.front_door import command_table
from flows.judge.stage_outcomes import RESULTS, UNCHANGED, Outcome, PipelineFailed, summary
from flows.repo import checkout, dvc_graph, param_overrides
from flows.system.exit_status import ending
from flows.system.processes import Commands
from flows.system.variables import environment
from gan import paths, source_state
from gan.files import run_lock


def experiment(folder: Path, params: Mapping[str, Any], options: Sequence[str]) -> int:
    """Run `dvc exp run` with these params; return its exit status.

    They are in params.yaml then, as after `dvc exp run -S`, which would write the whole file anew.
    ``options`` are more arguments. Raises UserError for params that params.yaml would not take.
    """
    param_overrides.check(folder, params)
    argv = [sys.executable, "-m", "dvc", "exp", "run", *options]
    with run_lock(checkout.lock_name(folder, "pipeline")):
        param_overrides.apply(folder, params, paths.PARAMS.name)
        look_at_source(folder)
        status = Commands(folder, environment(folder)).run(argv, partial(print, flush=True))
    if status == 0 and (written := page.write(folder)) is not None:
        print(f"\n  page  {written.relative_to(folder)}")
    return status


def main(arguments: Namespace | None = None) -> None:
    """Run the pipeline of the current folder from the command line, or an experiment where params are set."""
    asked = arguments or command_table.arguments("run")
    with ending():
        if asked.set_param:
            params = param_overrides.parse_all(asked.set_param)
            options = [*(["--name", asked.name] if asked.name else []), *(["--force"] if asked.force else [])]
            sys.exit(experiment(checkout.project("."), params, [*options, *(asked.stage or [])]))
        folder = checkout.project(".")
        if not asked.force and (same := nothing_to_do(folder, asked.stage or [])):
            print(summary(same, Path()))
            return
        # Importing Prefect takes longer than all of the above.
        from flows.orchestration.server import server
        from flows.orchestration.whole_pipeline import pipeline

        try:
            with server():
                outcomes = pipeline(".", asked.stage, asked.force)
        except PipelineFailed as error:
            print(summary(error.outcomes, Path()), flush=True)
            raise
    print(summary(outcomes, Path()))


def look_at_source(folder: Path) -> None:
    """Let `download` depend on the source as it is now; say so if it is another one than before."""
    if source_state.refresh(folder):
        print(f"the source changed since it was last downloaded ({paths.SOURCE_STATE})", flush=True)


def nothing_to_do(folder: Path, stages: Sequence[str]) -> list[Outcome]:
    """Return the outcomes where no stage would run or be restored, and the page is there; else nothing.

    Raises UserError where another run is under way in the folder.
    """
    with run_lock(checkout.lock_name(folder, "pipeline")):
        dvc_graph.mend(folder)
        look_at_source(folder)
        names = dvc_graph.unchanged(folder, stages)
    if (folder / paths.REPORT).is_file() and not (folder / RESULTS["page"]).is_file():
        return []
    return [Outcome(name, UNCHANGED) for name in names]


if __name__ == "__main__":
    main()
