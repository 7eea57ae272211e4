"""The options of the commands that train and promote: `ganflow run`, `retrain`, `serve` and the like.

One function for each command. Its docstring is what --help says first, and the first line of it is the
command's line in the list of commands. It may return a check of all arguments together. Nothing heavy is
imported here: --help must answer at once.
"""

from argparse import Namespace

from gan.command_options import (
    Check,
    Parser,
    above_zero,
    port_or_none,
    positive,
    seed,
)

HOURS = 48.0  # that the stages of a retraining or a trial get, at most
DELAYS = (10.0, 60.0, 300.0)  # seconds before a download or a push is tried again
REPORTS_PORT = 4201
SILENT = 300  # seconds: more than a server is away when it restarts, or it would crash what is well
LEAST_SILENT = 60
THREADS, DASK, RAY = "threads", "dask", "ray"  # what trials run on


def run(parser: Parser) -> Check:
    """Run the stages of dvc.yaml that are not up to date, as Prefect tasks.

    With -S it runs `dvc exp run`, and the result is a DVC experiment. A value is taken literally: spaces,
    commas and signs need no quotes but the shell's.
    """
    _params(parser)
    parser.add_argument("--name", help="of the experiment, with -S")
    parser.add_argument("--force", action="store_true", help="run every stage, changed or not")
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help="only this one and what it needs; may be repeated"
    )
    return lambda given: "--name goes with -S" if given.name and not given.set_param else None


def retrain(parser: Parser) -> None:
    """Train a new model by today's data and code, as a revision of its own.

    A revision is checked out beside the checkout at hand, its stages run there, and what came of it is
    committed to a branch `retrain/<time>`; then the gate decides whether it becomes the champion.
    """
    parser.add_argument("revision", nargs="?", default="HEAD", help="what to start from; HEAD")
    _params(parser)
    parser.add_argument("--refresh-data", action="store_true", help="download again")
    parser.add_argument("--no-gate", action="store_true", help="do not ask whether it becomes the champion")
    parser.add_argument("--git-remote", metavar="NAME", help="push branch and version there")
    _unpinned(parser)
    _hours(parser, "the stages get")
    parser.add_argument(
        "--delays",
        type=delays,
        default=DELAYS,
        metavar="S,S,…",
        help=f"seconds before a download or push is tried again; {','.join(f'{x:g}' for x in DELAYS)}",
    )


def promote(parser: Parser) -> Check:
    """Make a revision's model the champion, if the gate lets it through.

    Its samples and the champion's are held against the same held-out images, the revision's, through the
    same extractor. A better one is registered as a version (a GTO tag); a refusal says why, with status 3.
    """
    parser.add_argument("revision", nargs="?", help="tag, branch, commit or experiment; HEAD")
    parser.add_argument("--rollback", action="store_true", help="the model before the champion is it again")
    parser.add_argument("--list", action="store_true", help="every version")
    parser.add_argument(
        "--regardless", metavar="REASON", help="promote whatever the gate says; the reason is kept"
    )
    parser.add_argument("--git-remote", metavar="NAME", help="push the version's tag there")
    _unpinned(parser)

    def check(given: Namespace) -> str | None:
        alone = (given.rollback or given.list) and (given.revision or given.regardless)
        return "--rollback and --list take no revision and no reason" if alone else None

    return check


def sweep(parser: Parser) -> None:
    """Try several values of params, each combination as a DVC experiment.

    A grid, or with --random some draws from it. `dvc exp show` lists what came of them, `dvc exp apply` takes
    one. A sweep that was stopped and is started again runs what is missing.
    """
    parser.add_argument("params", nargs="+", metavar="NAME=VALUE,VALUE", help="what to try")
    parser.add_argument(
        "--random", type=above_zero, metavar="N", help="so many draws; otherwise the whole grid"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the draws; 0")
    parser.add_argument("--revision", default="HEAD", help="what to start from; HEAD")
    parser.add_argument("--name", default="sweep", help="what the experiments' names begin with; sweep")
    parser.add_argument("--jobs", type=above_zero, default=1, metavar="N", help="trials side by side; 1")
    parser.add_argument("--on", default=THREADS, help="threads, dask, ray, tcp://… or ray://…; threads")
    _unpinned(parser)
    _hours(parser, "a trial gets")


def serve(parser: Parser) -> None:
    """Run all flows of prefect.yaml on their schedules, from one process.

    Needs a Prefect server. Beside the flows it serves, on loopback alone, the reports of past runs, so that
    the links in Prefect open.
    """
    parser.add_argument(
        "--limit", type=above_zero, default=4, help="flows that run at the same time, at most; 4"
    )
    parser.add_argument(
        "--reports-port",
        type=port_or_none,
        default=REPORTS_PORT,
        metavar="N",
        help=f"of the reports; {REPORTS_PORT}; 0: any; -1: none",
    )
    automations(parser)


def automations(parser: Parser) -> None:
    """Have a Prefect server call runs Crashed whose process is gone, and tell of failed gates and runs."""
    parser.add_argument("--notify", metavar="ADDRESS", help="a webhook to post failed gates and runs to")
    parser.add_argument(
        "--silent",
        type=positive,
        default=SILENT,
        metavar="SECONDS",
        help=f"without a sign of life make a run Crashed; {SILENT}, at least {LEAST_SILENT}",
    )


def _params(parser: Parser) -> None:
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="NAME=VALUE", help="a param of this run"
    )


def _hours(parser: Parser, who: str) -> None:
    parser.add_argument("--hours", type=positive, default=HOURS, help=f"that {who}, at most; {HOURS:g}")


def _unpinned(parser: Parser) -> None:
    parser.add_argument("--unpinned", action="store_true", help="go on though packages are not as pinned")


def delays(text: str) -> list[float]:
    """Read seconds, with commas between them."""
    return [positive(item) for item in text.split(",") if item]
