"""Stage prepare: decode every image, bring it to one shape, pack arrays and a manifest."""

from functools import partial

from gan import paths
from gan.stage import Progress, run, say


def main() -> None:
    """Read data/raw, write data/prepared."""
    # Each worker process imports this file, and needs nothing of these.
    from gan.data.archive_members import Limits
    from gan.data.inventory import read_inventory
    from gan.params import load
    from gan.prepare.decoding.decode import Shape
    from gan.prepare.decoding.workers import started, worker_count
    from gan.prepare.image_stream import is_small
    from gan.prepare.settings import Settings

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
            params.data.damaged == "keep",
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
        layout=params.data.layout,
        zip_names=None if params.data.zip_names == "auto" else params.data.zip_names,
        ranges=None if params.data.value_range == "auto" else {"all": params.data.value_range},
    )
    inventory = read_inventory(paths.RAW)
    with started(settings.shape, 0 if is_small(inventory) else worker_count()) as pool:
        from gan.prepare.pack import prepare  # pandas: meanwhile the workers start

        prepare(settings, inventory, paths.RAW, paths.PREPARED, pool, partial(say, "prepare"), progress)


if __name__ == "__main__":
    run("prepare", main)
