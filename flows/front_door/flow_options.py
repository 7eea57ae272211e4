"""The options of the commands in flows/. Nothing heavy is imported here: --help must answer at once.

A function a command: its docstring is what --help says first, and its first line is the command's line in
the list of commands. It may return a check of all arguments together.
"""

from argparse import Namespace

from gan.command_options import (
    Check,
    Parser,
    above_zero,
    not_negative,
    port,
    port_or_none,
    positive,
    seed,
)

HOURS = 48.0  # that the stages of a retraining or a trial get, at most
DELAYS = (10.0, 60.0, 300.0)  # seconds before a download or a push is tried again
TOLERANCE = 0.05  # of metrics on other hardware
REPORTS_PORT = 4201
WATCH_PORT = 4202
MODELS = 100  # that `evaluate` measures, at most
KEPT = 100  # retrainings: their reports, and their branches
OLD = 30  # days after which a training that stopped is not gone on with
SILENT = 300  # seconds: more than a server is away when it restarts, or it would crash what is well
LEAST_SILENT = 60
THREADS, DASK, RAY = "threads", "dask", "ray"  # what trials run on


def run(parser: Parser) -> Check:
    """Run the stages of dvc.yaml that are not up to date, as Prefect tasks.

    With -S it runs `dvc exp run`, and the result is a DVC experiment. A value is taken literally: spaces,
    commas and signs need no quotes but the shell's.
    """
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="NAME=VALUE", help="a param of this run"
    )
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
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="NAME=VALUE", help="a param of this run"
    )
    parser.add_argument("--refresh-data", action="store_true", help="download anew")
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


def history(parser: Parser) -> Check:
    """List every experiment of this repository, what changed, and what came of it.

    With two revisions, what differs between them; with a model file, the revision that made it.
    """
    parser.add_argument("revision", nargs="*", help="two revisions to compare; none: all experiments")
    parser.add_argument(
        "--model", metavar="FILE|SHA256", help="say which experiment made this model, or any file"
    )
    parser.add_argument("--json", action="store_true", help="the table as JSON")

    def check(given: Namespace) -> str | None:
        two = len(given.revision) in (0, 2)
        return None if two else "give two revisions to compare, or none for all experiments"

    return check


def reproduce(parser: Parser) -> Check:
    """Rebuild past experiments, and compare each output with the record.

    The revision is checked out beside the checkout at hand, its stages run again in the environment that
    it locks, and the hash of each output is held to the one in its dvc.lock.
    """
    parser.add_argument(
        "revision", nargs="*", help="tag, branch, commit, experiment or promoted version; several go in turn"
    )
    parser.add_argument("--every", action="store_true", help="every commit in which dvc.lock changed")
    parser.add_argument("--stage", metavar="NAME", help="from this stage on; earlier ones as recorded")
    parser.add_argument("--same-environment", action="store_true", help="with today's packages")
    parser.add_argument("--trust-cache", action="store_true", help="run only what cache and remote lack")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="X",
        help=f"of metrics on other hardware, as a share of their size (of 1 if smaller); {TOLERANCE:g}",
    )
    parser.add_argument("--keep", metavar="FOLDER", help="move what was rebuilt to this new folder")
    parser.add_argument(
        "--restore", action="store_true", help="put what the cache lacks or spoils into it, as rebuilt"
    )

    def check(given: Namespace) -> str | None:
        if given.every == bool(given.revision):
            return "give a revision (or several), or --every"
        if given.keep and len(given.revision) != 1:
            return "--keep goes with one revision"
        if not 0 <= given.tolerance < float("inf"):
            return f"--tolerance: {given.tolerance}: a number of 0 or more"
        return None

    return check


def verify(parser: Parser) -> None:
    """Check whether what DVC keeps of a revision is whole.

    DVC trusts its cache, and a remote that is not set to `verify`. This reads every object that the
    revision needs and holds it to its name.
    """
    parser.add_argument("revision", nargs="?", default="HEAD")
    parser.add_argument(
        "--remote", nargs="?", const="", metavar="NAME", help="check a remote, not the cache; the default one"
    )


def evaluate(parser: Parser) -> Check:
    """Measure past models with today's metrics, extractor and held-out images.

    In one table and one page, so that all figures compare. The revisions are not touched. What was measured
    once is kept, and measured again only where something that measures has changed.
    """
    parser.add_argument("revision", nargs="*", help="revisions, versions, or ranges such as v1.2..HEAD")
    parser.add_argument("--all", action="store_true", help="every revision that recorded a model")
    parser.add_argument("--promoted", action="store_true", help="every promoted version")
    parser.add_argument("--most", type=above_zero, default=MODELS, metavar="N", help=f"the newest ({MODELS})")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")

    def check(given: Namespace) -> str | None:
        one = (bool(given.revision), given.all, given.promoted).count(True) == 1
        return None if one else "give revisions, or --all, or --promoted"

    return check


def publish(parser: Parser) -> None:
    """Write the model as the Hugging Face Hub wants it, to a folder or to the Hub.

    Weights, config, the card with its figures, pictures, and Croissant metadata of the data. Nothing is sent
    without hf://, and then only these files.
    """
    parser.add_argument("--to", required=True, metavar="WHERE", help="a new folder, or hf://USER/NAME")
    parser.add_argument("--license", metavar="ID", help="of the model, as the Hub names it: mit, cc-by-4.0 …")
    parser.add_argument("--private", action="store_true", help="make the repository private if it is new")
    parser.add_argument("--dry-run", action="store_true", help="only list what would go")


def push(parser: Parser) -> None:
    """Copy a revision's data, checked out or not, from the cache to the DVC remote."""
    parser.add_argument("revision", nargs="?", default="HEAD")
    parser.add_argument("--remote", metavar="NAME", help="another DVC remote than the default one")
    parser.add_argument("--git-remote", metavar="NAME", help="then push the branch of this name there")


def watch(parser: Parser) -> None:
    """Show the runs of this checkout in a browser, as they go.

    Stages, curves, speed, time left, the fixed latents' pictures and the log, of this checkout and of flows,
    sweeps and queued experiments. No run waits for it, and it may be started at any time.
    """
    parser.add_argument(
        "--port", type=port, default=WATCH_PORT, help=f"on loopback; 0: a free one ({WATCH_PORT})"
    )


def page(parser: Parser) -> None:
    """Write .runs/report.html: the report, completed by revision, machine, time and the run before."""


def clean(parser: Parser) -> None:
    """Show and remove what runs left behind and nothing needs any more.

    Worktrees of killed runs, states that nobody goes on with, environments of old pins, old reports, and
    branches of retrainings that no tag, other branch or remote has; then DVC's objects of what is gone.
    """
    parser.add_argument("--dry-run", action="store_true", help="only show it")
    parser.add_argument(
        "--keep", type=not_negative, default=KEPT, metavar="N", help=f"newest retrainings that stay; {KEPT}"
    )
    parser.add_argument(
        "--days",
        type=not_negative,
        default=OLD,
        metavar="N",
        help=f"after which a training that stopped is not gone on with; {OLD}",
    )


def _hours(parser: Parser, who: str) -> None:
    parser.add_argument("--hours", type=positive, default=HOURS, help=f"that {who}, at most; {HOURS:g}")


def _unpinned(parser: Parser) -> None:
    parser.add_argument("--unpinned", action="store_true", help="go on though packages are not as pinned")


def delays(text: str) -> list[float]:
    """Read seconds, with commas between them."""
    return [positive(item) for item in text.split(",") if item]
