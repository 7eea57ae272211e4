"""The expectations for a manifest, each critical (stops the pipeline) or a warning.

Your own expectations belong in gan/validate/own_expectations.py.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gan.data.manifest import COLUMNS
from gan.errors import UserError
from gan.params import Validate
from gan.validate.drift import NAMES
from gan.validate.manifest_summary import ELONGATED, Summary
from gan.validate.own_expectations import own
from gan.validate.rules import FrameName, Rule, at_least, at_most, gxe

MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"),
    *("I", "F", "I;16", "I;16L", "I;16B", "I;16N"),
)
NO_CLASSES = (
    "classes that look like a half, a shard, a wrapper or a copy of the set "
    "(set data.layout: flat, patterns, or, if they are right, classes)"
)
DARKEST, BRIGHTEST = 5.0, 250.0  # of 255, a set's mean pixel: beyond, something went wrong on the way here


def rules(params: Validate, summary: Summary, guessed: bool = True) -> list[Rule]:
    """Return all rules, in the order they are shown; ``guessed``: nobody said what the folders mean."""
    all_rules = [
        *_of_summary(params),
        *(_of_classes(params, summary, guessed) if summary.labelled or params.classes is not None else []),
        *_of_drift(params, summary),
        *_of_images(params, summary.labelled),
        *own(params, summary.labelled),
    ]
    twice = [key for key, count in Counter(rule.key for rule in all_rules).items() if count > 1]
    if twice:
        raise UserError(f"gan/validate/own_expectations.py: key {twice[0]!r} stands twice; give each its own")
    return all_rules


def _of_summary(params: Validate) -> list[Rule]:
    decodable = params.min_decodable
    mean = gxe.ExpectColumnValuesToBeBetween(
        column="mean", min_value=DARKEST, max_value=BRIGHTEST, severity="warning"
    )
    return [
        at_least("train", "training images", params.min_images, "critical"),
        at_least("test", "test images", 1, "critical"),
        at_least("decodable", "share of images that can be read", decodable, "critical"),
        at_least("all_decodable", "every image can be read", 1, "warning", column="decodable"),
        at_most("leaked", "share of test images that stand in train too", params.max_leaked, "critical"),
        at_most(
            "near_leaked",
            "share of test images that nearly stand in train too",
            params.max_near_leaked,
            "warning",
        ),
        at_most("duplicates", "share of images that repeat another", params.max_duplicates, "warning"),
        at_most(
            "near_duplicates",
            "share of images that nearly repeat another",
            params.max_near_duplicates,
            "warning",
        ),
        at_most("constant", "images of one value throughout", 0, "warning"),
        at_most("elongated", f"images more than {ELONGATED} times as long as wide", 0, "warning"),
        Rule("mean", "mean pixel of all images", "summary", f"{DARKEST:g} to {BRIGHTEST:g} of 255", mean),
        at_most("unmeasured", "images that lack a statistic", 0, "critical"),
    ]


def _of_classes(params: Validate, summary: Summary, guessed: bool) -> list[Rule]:
    balance = params.min_class_balance
    given = [
        at_most("missing_classes", "classes of validate.classes that no image has", 0, "critical"),
        at_most("foreign_classes", "classes that validate.classes lacks", 0, "critical"),
    ]
    class_rules = [
        *(given if params.classes is not None else []),
        at_most("unknown_classes", "test classes that train lacks", 0, "critical"),
        at_most("untested_classes", "train classes that test lacks", 0, "warning"),
    ]
    if summary.labelled:
        class_rules += [
            *(
                [at_most("no_classes", NO_CLASSES, 0, "critical")]
                if guessed and params.classes is None
                else []
            ),
            at_most("no_label", "images that lack a label", 0, "critical", column="unlabelled"),
            at_least("class_balance", "smallest class over the mean class", balance, "warning"),
            at_most("relabelled", "images whose pixels stand under two labels", 0, "warning"),
        ]
    return class_rules


def _of_drift(params: Validate, summary: Summary) -> list[Rule]:
    """Return a rule for each statistic that was compared with the reference, and for the label set."""
    drift_rules = [
        at_most(f"drift_{name}", f"drift of {NAMES[name]}, bits beyond chance", params.max_drift, "warning")
        for name in summary.drift
    ]
    if "lost_classes" in summary.figures:
        drift_rules += [
            at_most("lost_classes", "classes of the reference that no image has", 0, "warning"),
            at_most("new_classes", "classes that the reference lacks", 0, "warning"),
        ]
    return drift_rules


def _of_images(params: Validate, labelled: bool) -> list[Rule]:
    columns = gxe.ExpectTableColumnsToMatchSet(
        column_set=list(COLUMNS), exact_match=False, severity="critical"
    )
    image_rules = [Rule("columns", "the manifest has all its columns", "manifest", "all", columns)]

    def add(key: str, name: str, frame: FrameName, limit: str, check: Any) -> None:
        image_rules.append(Rule(key, name, frame, limit, check))

    def present(frame: FrameName, column: str) -> None:
        check = gxe.ExpectColumnValuesToNotBeNull(column=column, severity="critical")
        add(f"no_{column}", f"{column} is given", frame, "every image", check)

    def among(name: str, frame: FrameName, column: str, values: Sequence[str], severity: str) -> None:
        check = gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), severity=severity)
        limit = "one of Pillow's modes" if values is MODES else "one of " + " ".join(values)
        add(f"other_{column}", name, frame, limit, check)

    def least(name: str, column: str, value: float, severity: str) -> None:
        check = gxe.ExpectColumnValuesToBeBetween(column=column, min_value=value, severity=severity)
        add(f"low_{column}", name, "accepted", f"at least {value:g}", check)

    present("manifest", "path")
    present("manifest", "status")
    unique = gxe.ExpectColumnValuesToBeUnique(column="path", severity="critical")
    add("same_path", "no path stands twice", "manifest", "once each", unique)
    among("status is known", "manifest", "status", ["ok", "refused", "aside"], "critical")
    present("accepted", "split")
    among("half is known", "accepted", "split", ["train", "test"], "critical")
    present("accepted", "pixels_sha256")
    least("width in pixels", "width", 1, "critical")
    least("height in pixels", "height", 1, "critical")
    among("pixel mode is known", "accepted", "mode", MODES, "warning")
    least("contrast (std of pixels)", "std", params.min_pixel_std, "warning")
    least("entropy of pixels, bits", "entropy", params.min_entropy, "warning")
    return image_rules
