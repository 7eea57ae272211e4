"""Stage validate: hold the manifest to the expectations; a critical failure stops the pipeline."""

from pathlib import Path

from gan.data.manifest import read_manifest
from gan.data.verdict import judge, line
from gan.errors import UserError
from gan.files import fresh_folder, write_json
from gan.params import load
from gan.stage import run, say

MANIFEST = Path("data/prepared/manifest.parquet")
REPORT = Path("reports/validation")


def main() -> None:
    """Read the manifest, write the result, print a line for each failed expectation."""
    params = load()
    result = judge(read_manifest(MANIFEST), params.validation)
    with fresh_folder(REPORT) as folder:
        write_json(folder / "result.json", result)
    for item in result["expectations"]:
        if not item["success"]:
            say("validate", line(item))
    statistics = result["statistics"]
    failed = statistics["failed_critical"]
    if failed:
        raise UserError(
            f"{failed} of {statistics['expectations']} expectations failed critically, see "
            f"{REPORT}/result.json; mend the source, or the limits under `validate` in params.yaml"
        )
    passed = statistics["expectations"] - statistics["failed_warning"]
    say("validate", f"{passed} of {statistics['expectations']} expectations hold")


if __name__ == "__main__":
    run("validate", main)
