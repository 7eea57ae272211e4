"""The options of the commands about past runs: compare, rebuild, measure, publish, show, remove.

One function for each command, as in flows/front_door/flow_options.py.
"""

from argparse import Namespace

from gan.command_options import Check, Parser, above_zero, not_negative, port

TOLERANCE = 0.05  # of metrics on other hardware
WATCH_PORT = 4202
MODELS = 100  # that `evaluate` measures, at most
KEPT = 100  # retrainings: their reports, and their branches
OLD = 30  # days after which a training that stopped is not gone on with


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
