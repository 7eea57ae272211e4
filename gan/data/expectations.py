"""The expectations that a manifest is held to, each critical (stops the pipeline) or a warning.

To add one of your own, append a Rule to ``_of_images`` (a row an image) or ``_of_summary`` (one row
of figures, gan/data/summary.py): a name in plain words, the limit as it is shown, and any
expectation of Great Expectations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import great_expectations.expectations

from gan.data.manifest import COLUMNS
from gan.params import Validate

FrameName = Literal["manifest", "accepted", "summary"]
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"),
    *("I", "F", "I;16", "I;16L", "I;16B", "I;16N"),
)
gxe: Any = great_expectations.expectations  # its types take no plain text as a severity


@dataclass(frozen=True)
class Rule:
    """An expectation, the frame it looks at, and how it is shown."""

    name: str
    frame: FrameName
    limit: str
    expectation: Any


def rules(params: Validate, labelled: bool) -> list[Rule]:
    """Return all rules, in the order they are shown."""
    return _of_summary(params, labelled) + _of_images(params, labelled)


def _of_summary(params: Validate, labelled: bool) -> list[Rule]:
    def least(name: str, column: str, value: float, severity: str) -> Rule:
        check = gxe.ExpectColumnValuesToBeBetween(column=column, min_value=value, severity=severity)
        return Rule(name, "summary", f"at least {value:g}", check)

    def most(name: str, column: str, value: float, severity: str) -> Rule:
        check = gxe.ExpectColumnValuesToBeBetween(column=column, max_value=value, severity=severity)
        return Rule(name, "summary", f"at most {value:g}", check)

    found = [
        least("training images", "train", params.min_images, "critical"),
        least("test images", "test", 1, "critical"),
        least("share of images that can be read", "decodable", params.min_decodable, "critical"),
        least("every image can be read", "decodable", 1, "warning"),
        most("share of test images that stand in train too", "leaked", params.max_leaked, "critical"),
        most("share of images that repeat another", "duplicates", params.max_duplicates, "warning"),
    ]
    if labelled:
        found += [
            most("test classes that train lacks", "unknown_classes", 0, "critical"),
            most("train classes that test lacks", "untested_classes", 0, "warning"),
            least("smallest class over the mean class", "class_balance", params.min_class_balance, "warning"),
        ]
    return found


def _of_images(params: Validate, labelled: bool) -> list[Rule]:
    columns = gxe.ExpectTableColumnsToMatchSet(
        column_set=list(COLUMNS), exact_match=False, severity="critical"
    )
    found = [Rule("the manifest has all its columns", "manifest", "all", columns)]

    def add(name: str, frame: FrameName, limit: str, check: Any) -> None:
        found.append(Rule(name, frame, limit, check))

    def present(frame: FrameName, column: str) -> None:
        check = gxe.ExpectColumnValuesToNotBeNull(column=column, severity="critical")
        add(f"{column} is given", frame, "every image", check)

    def among(name: str, frame: FrameName, column: str, values: Sequence[str], severity: str) -> None:
        check = gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), severity=severity)
        add(name, frame, "one of " + " ".join(values), check)

    present("manifest", "path")
    present("manifest", "status")
    unique = gxe.ExpectColumnValuesToBeUnique(column="path", severity="critical")
    add("no path stands twice", "manifest", "once each", unique)
    among("status is known", "manifest", "status", ["ok", "refused"], "critical")
    present("accepted", "split")
    among("half is known", "accepted", "split", ["train", "test"], "critical")
    present("accepted", "pixels_sha256")
    if labelled:
        present("accepted", "label")
    for column in ("width", "height"):
        size = gxe.ExpectColumnValuesToBeBetween(column=column, min_value=1, severity="critical")
        add(f"{column} in pixels", "accepted", "at least 1", size)
    among("pixel mode is known", "accepted", "mode", MODES, "warning")
    contrast = gxe.ExpectColumnValuesToBeBetween(
        column="std", min_value=params.min_pixel_std, severity="warning"
    )
    add("contrast (std of pixels)", "accepted", f"at least {params.min_pixel_std:g}", contrast)
    return found
