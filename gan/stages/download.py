"""Stage download: exactly what the source gives, with a checksummed inventory, in data/raw."""

from gan.data.fetch import fetch
from gan.data.inventory import FILES, RAW, take_inventory
from gan.data.network import shown
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
        fetched = fetch(source, raw / FILES, RAW)
        kind = kind_of(fetched.origins, fetched.one_file)
        inventory = take_inventory(raw, shown(source), kind, fetched.origins, fetched.skipped)
    size = sum(file["bytes"] for file in inventory.files)
    images = "" if inventory.images is None else f", {inventory.images} images"
    images += f", {inventory.other_files} other files" if inventory.other_files else ""
    left_out = f", {len(inventory.skipped)} left out" if inventory.skipped else ""
    say("download", f"{len(inventory.files)} files, {size / 1e6:.1f} MB{images}{left_out} in {RAW}")


if __name__ == "__main__":
    run("download", main)
