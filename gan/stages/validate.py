"""Stage validate: hold the manifest to the expectations; a critical failure stops the pipeline."""

import shutil

from gan import paths
from gan.data.arrays import read_arrays
from gan.data.manifest import read_manifest
from gan.errors import UserError
from gan.files import RUNS, fresh_folder, write_json, write_text
from gan.params import load
from gan.runtime.packages import unpinned_packages
from gan.stage import run, say
from gan.validate.reference_manifest import read_reference
from gan.validate.validation_page import page
from gan.validate.validation_result import account, judge, line

DATA_DOCS = RUNS / "data_docs"  # no out: these pages hold times and random ids


def main() -> None:
    """Read the manifest, write result and page, print a line for each failed expectation."""
    params = load()
    # What later stages wait for: the same bytes whatever was warned of.
    paths.VALIDATION_PASSED.unlink(missing_ok=True)
    manifest = read_manifest(paths.MANIFEST)
    halves = {"train": read_arrays(paths.TRAIN_SET), "test": read_arrays(paths.TEST_SET)}
    reference = None if params.validation.reference is None else read_reference(params.validation.reference)
    guessed = params.data.layout == "auto"
    if params.validation.data_docs:
        with fresh_folder(DATA_DOCS) as folder:
            verdict = judge(manifest, params.validation, reference, folder, guessed=guessed)
    else:
        shutil.rmtree(DATA_DOCS, ignore_errors=True)  # they would be of another manifest
        verdict = judge(manifest, params.validation, reference, guessed=guessed)
    earlier = None if reference is None else reference.frame
    write_text(paths.VALIDATION_PAGE, page(verdict, manifest, halves, earlier))
    unpinned = unpinned_packages([halves["train"].unpinned])
    write_json(paths.VALIDATION_RESULT, verdict.result | ({"unpinned": unpinned} if unpinned else {}))
    statistics = verdict.result["statistics"]
    metrics = {
        "images_kept": statistics["accepted"],
        "images_refused": statistics["refused"],
        "validation_warnings": statistics["failed_warning"],
    }
    write_json(paths.VALIDATION_METRICS, metrics)
    for item in verdict.result["expectations"]:
        if not item["success"]:
            say("validate", line(item, {*statistics["classes"], *(params.validation.classes or ())}))
    for text in account(statistics):
        say("validate", text)
    if params.validation.data_docs:
        say(
            "validate",
            f"{DATA_DOCS}/index.html: opened, it loads styles and a tracking logo from the network",
        )
    failed = statistics["failed_critical"]
    if failed:
        raise UserError(
            f"{failed} of {statistics['expectations']} expectations failed critically, see "
            f"{paths.VALIDATION_PAGE}; mend the source, or the limits under `validate` in params.yaml, "
            "and run `make repro` (`dvc repro` alone does not look at the source again)"
        )
    say("validate", f"see {paths.VALIDATION_PAGE}")
    write_text(paths.VALIDATION_PASSED, "No critical expectation fails.\n")


if __name__ == "__main__":
    run("validate", main)
