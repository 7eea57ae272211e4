"""Stage download: exactly what the source gives, with a checksummed inventory, in data/raw."""

from gan import source_state
from gan.data.datasets import kind_of
from gan.data.inventory import FILES, Inventory, take_inventory
from gan.download.fetch import fetch
from gan.download.partial_files import forget_downloads
from gan.download.source_changes import compare_with_last, marks
from gan.download.source_contents import look_into
from gan.files import fresh_folder
from gan.params import load
from gan.paths import RAW
from gan.stage import run, say
from gan.urls import redacted


def main() -> None:
    """Fetch, check and record the source; an existing data/raw stays until all is well."""
    params = load()
    source = params.data.source
    say("download", redacted(source))
    with fresh_folder(RAW) as raw:
        (raw / FILES).mkdir()
        fetched = fetch(
            source,
            raw / FILES,
            RAW,
            params.data.mirrors,
            params.data.sha256,
            follow_links=params.data.links == "follow",
        )
        kind = kind_of(fetched.origins, fetched.one_file)
        contents = look_into(raw / FILES, kind, sorted(fetched.origins))
        inventory = take_inventory(
            raw, redacted(source), kind, fetched.origins, fetched.skipped, contents, fetched.clutter
        )
    forget_downloads()
    source_state.refresh()
    if change := compare_with_last(source, marks(inventory, contents)):
        say("download", f"{redacted(source)} is not what it was at the last download: {change}")
    _summarise(inventory)
    if fetched.links:
        say("download", f"{fetched.links} links were followed to the files they point to (data.links)")


def _summarise(inventory: Inventory) -> None:
    size = sum(file["bytes"] for file in inventory.files)
    images = "" if inventory.images is None else f", {inventory.images} images"
    images += f", {inventory.other_files} other files" if inventory.other_files else ""
    left_out = f", {len(inventory.skipped)} left out" if inventory.skipped else ""
    clutter = sum(inventory.clutter.values())
    left_out += f", {clutter} files of other programs passed over" if clutter else ""
    licence = f", licence: {inventory.licence}" if inventory.licence else ""
    say("download", f"{len(inventory.files)} files, {size / 1e6:.1f} MB{images}{left_out} in {RAW}{licence}")


if __name__ == "__main__":
    run("download", main)
