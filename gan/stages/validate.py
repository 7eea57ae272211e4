"""Stage validate: hold the manifest to the expectations; a critical failure stops the pipeline."""

import shutil
from pathlib import Path

from gan.data.arrays import read_arrays
from gan.data.manifest import read_manifest
from gan.data.reference import read_reference
from gan.data.verdict import account, judge, line
from gan.errors import UserError
from gan.files import RUNS, fresh_folder, write_json, write_text
from gan.params import load
from gan.report.validation import page
from gan.stage import run, say

PREPARED = Path("data/prepared")
REPORT = Path("reports/validation")
PASSED = REPORT / "passed"  # what later stages wait for: the same bytes whatever was warned of
DATA_DOCS = RUNS / "data_docs"  # no out: these pages hold times and random ids


def main() -> None:
    """Read the manifest, write result and page, print a line for each failed expectation."""
    params = load()
    PASSED.unlink(missing_ok=True)
    manifest = read_manifest(PREPARED / "manifest.parquet")
    halves = {half: read_arrays(PREPARED / f"{half}.safetensors") for half in ("train", "test")}
    reference = None if params.validation.reference is None else read_reference(params.validation.reference)
    if params.validation.data_docs:
        with fresh_folder(DATA_DOCS) as folder:
            verdict = judge(manifest, params.validation, reference, folder)
    else:
        shutil.rmtree(DATA_DOCS, ignore_errors=True)  # they would be of another manifest
        verdict = judge(manifest, params.validation, reference)
    earlier = None if reference is None else reference.frame
    write_text(REPORT / "index.html", page(verdict, manifest, halves, earlier))
    write_json(REPORT / "result.json", verdict.result)
    for item in verdict.result["expectations"]:
        if not item["success"]:
            say("validate", line(item))
    for text in account(verdict.result["statistics"]):
        say("validate", text)
    if params.validation.data_docs:
        say(
            "validate",
            f"{DATA_DOCS}/index.html: opened, it loads styles and a tracking logo from the network",
        )
    statistics = verdict.result["statistics"]
    failed = statistics["failed_critical"]
    if failed:
        raise UserError(
            f"{failed} of {statistics['expectations']} expectations failed critically, see "
            f"{REPORT}/index.html; mend the source, or the limits under `validate` in params.yaml"
        )
    say("validate", f"see {REPORT}/index.html")
    write_text(PASSED, "No critical expectation fails.\n")


if __name__ == "__main__":
    run("validate", main)
