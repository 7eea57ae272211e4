"""Stage prepare: decode every image, bring it to one shape, pack arrays and a manifest."""

from functools import partial

from gan.stage import Progress, run, say


def main() -> None:
    """Read data/raw, write data/prepared."""
    # Each worker process imports this file, and needs nothing of these.
    from gan.data.decode import Shape
    from gan.data.inventory import RAW, read_inventory
    from gan.data.items import is_small
    from gan.data.members import Limits
    from gan.data.settings import Settings
    from gan.data.workers import started, worker_count
    from gan.params import load

    params = load()
    bar = Progress("prepare", None, "images")

    def progress(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done)

    settings = Settings(
        shape=Shape(
            params.data.image_size,
            params.data.fit,
            params.data.channels == 1,
            params.data.max_pixels,
        ),
        limits=Limits(
            params.data.max_files,
            params.data.max_file_bytes,
            params.data.max_bytes,
            params.data.max_ratio,
        ),
        channels=params.data.channels,
        test_fraction=params.data.test_fraction,
        seed=params.data.seed,
        near_duplicates=params.data.near_duplicates,
    )
    inventory = read_inventory(RAW)
    with started(settings.shape, 0 if is_small(inventory) else worker_count()) as pool:
        from gan.data.pack import PREPARED, prepare  # pandas: meanwhile the workers start

        prepare(settings, inventory, RAW, PREPARED, pool, partial(say, "prepare"), progress)


if __name__ == "__main__":
    run("prepare", main)
