"""Stage prepare: decode every image, bring it to one shape, pack arrays and a manifest."""

from functools import partial

from gan.stage import Progress, run, say


def main() -> None:
    """Read data/raw, write data/prepared."""
    # Each worker process imports this file, and needs nothing of these.
    from gan.data.inventory import RAW
    from gan.data.pack import PREPARED, prepare
    from gan.params import load

    params = load()
    bar = Progress("prepare", None, "images")

    def progress(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done)

    prepare(params.data, RAW, PREPARED, partial(say, "prepare"), progress)


if __name__ == "__main__":
    run("prepare", main)
