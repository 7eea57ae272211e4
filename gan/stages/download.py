"""Stage download: exactly what the source gives, with a checksummed inventory, in data/raw."""

from gan.data.changes import compare_with_last, marks
from gan.data.contents import look_into
from gan.data.fetch import fetch
from gan.data.inventory import FILES, RAW, Inventory, take_inventory
from gan.data.network import shown
from gan.data.partial import forget_downloads
from gan.data.sources import kind_of
from gan.files import fresh_folder
from gan.params import load
from gan.stage import run, say


def main() -> None:
    """Fetch, check and record the source; an existing data/raw stays until all is well."""
    params = load()
    source = params.data.source
    say("download", shown(source))
    with fresh_folder(RAW) as raw:
        (raw / FILES).mkdir()
        fetched = fetch(source, raw / FILES, RAW, params.data.mirrors, params.data.sha256)
        kind = kind_of(fetched.origins, fetched.one_file)
        contents = look_into(raw / FILES, kind, sorted(fetched.origins))
        inventory = take_inventory(raw, shown(source), kind, fetched.origins, fetched.skipped, contents)
    forget_downloads()
    if change := compare_with_last(source, marks(inventory, contents)):
        say("download", f"{shown(source)} is not what it was at the last download: {change}")
    _summarise(inventory)


def _summarise(inventory: Inventory) -> None:
    size = sum(file["bytes"] for file in inventory.files)
    images = "" if inventory.images is None else f", {inventory.images} images"
    images += f", {inventory.other_files} other files" if inventory.other_files else ""
    left_out = f", {len(inventory.skipped)} left out" if inventory.skipped else ""
    licence = f", licence: {inventory.licence}" if inventory.licence else ""
    say("download", f"{len(inventory.files)} files, {size / 1e6:.1f} MB{images}{left_out} in {RAW}{licence}")


if __name__ == "__main__":
    run("download", main)
