"""The summary of a manifest: one row of figures, which expectations check against limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gan.data.manifest import COLUMNS, count_reasons
from gan.validate.class_names import suspects
from gan.validate.drift import Drift, compare
from gan.validate.repeated_images import Offenders, repeats

ELONGATED = 8  # times as long as wide: a strip, of which little is left in a square
MEASURED = ("mean", "std", "min", "max", "sharpness", "entropy")


@dataclass(frozen=True)
class Summary:
    """The figures of a manifest, and the images behind them."""

    figures: dict[str, float]  # shares are 0 to 1
    offenders: dict[str, Offenders]  # of each such figure, the images
    classes: dict[str, list[str]]  # of each such figure, the classes
    statistics: dict[str, Any]  # counts and means to be shown
    drift: dict[str, Drift]  # of each statistic that was compared with a reference
    labelled: bool


def accepted(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the images that were prepared, with all columns of a manifest."""
    frame = manifest.reindex(columns=list(COLUMNS)).astype(COLUMNS)
    return frame[(frame["status"] == "ok").fillna(False)]


def summarise(
    manifest: pd.DataFrame, earlier: pd.DataFrame | None = None, classes: Sequence[str] | None = None
) -> Summary:
    """Count and compare; columns that are missing count as empty, never as an error here.

    ``earlier``: the accepted images of a reference. ``classes``: the labels there must be.
    """
    frame, good = manifest.reindex(columns=list(COLUMNS)), accepted(manifest)
    train, test = good[good["split"] == "train"], good[good["split"] == "test"]
    labelled = bool(good["label"].notna().any())
    whole = frame[(frame["status"] != "aside").fillna(True)]
    offenders = {
        "decodable": Offenders(whole[(whole["status"] != "ok").fillna(True)]),
        **repeats(good, labelled),
        **_odd(good),
    }
    figures: dict[str, float] = {"train": len(train), "test": len(test)}
    figures["decodable"] = _share(len(good), len(whole))
    for name, whole in (("duplicates", good), ("leaked", test)):
        for kind in (name, f"near_{name}"):
            figures[kind] = _share(len(offenders[kind].rows), len(whole))
    for name in ("constant", "elongated", "unmeasured", *(["relabelled"] if labelled else [])):
        figures[name] = len(offenders[name].rows)
    figures["mean"] = _round(good["mean"].mean()) or 0.0
    class_lists = _classes(train, test, earlier, classes)
    figures |= {name: len(names) for name, names in class_lists.items()}
    for name in {"foreign_classes", "unknown_classes", "new_classes", "no_classes"} & set(class_lists):
        rows = test if name == "unknown_classes" else good
        offenders[name] = Offenders(rows[rows["label"].isin(class_lists[name])])
    if labelled:
        sizes = train["label"].value_counts()
        offenders["unlabelled"] = Offenders(pd.concat([half[half["label"].isna()] for half in (train, test)]))
        figures["unlabelled"] = _partly(train["label"]) + _partly(test["label"])
        figures["class_balance"] = _share(float(sizes.min()), float(sizes.mean())) if len(sizes) else 0.0
    drifts = {} if earlier is None else compare(good, earlier)
    figures |= {f"drift_{name}": drift.beyond for name, drift in drifts.items()}
    statistics = _statistics(frame, good) | {"train": len(train), "test": len(test)}
    if earlier is not None:
        statistics["reference"] = {"accepted": len(earlier), "classes": _counts(earlier["label"])}
    return Summary(figures, offenders, class_lists, statistics, drifts, labelled)


def _partly(labels: "pd.Series[str]") -> int:
    """Return how many of a half's images lack a label where others have one."""
    missing = int(labels.isna().sum())
    return missing if missing < len(labels) else 0


def _odd(good: pd.DataFrame) -> dict[str, Offenders]:
    """Find images with a single value, very elongated images, and images without measurements."""
    longer, shorter = good[["width", "height"]].max(axis=1), good[["width", "height"]].min(axis=1)
    return {
        "constant": Offenders(good[(good["min"] == good["max"]).fillna(False)]),
        "elongated": Offenders(good[(longer > ELONGATED * shorter).fillna(False)]),
        "unmeasured": Offenders(good[good[list(MEASURED)].isna().any(axis=1)]),
    }


def _classes(
    train: pd.DataFrame, test: pd.DataFrame, earlier: pd.DataFrame | None, wanted: Sequence[str] | None
) -> dict[str, list[str]]:
    """Find missing, foreign, lost, new and one-sided classes."""
    halves = set(train["label"].dropna()), set(test["label"].dropna())
    present = halves[0] | halves[1]
    class_sets = {}
    if wanted is not None:
        class_sets = {"missing_classes": set(wanted) - present, "foreign_classes": present - set(wanted)}
    if present or wanted is not None:
        untested = (
            halves[0] - halves[1] if halves[1] or not halves[0] else set()
        )  # or it has no labels at all
        class_sets |= {"unknown_classes": halves[1] - halves[0], "untested_classes": untested}
        class_sets["no_classes"] = set(suspects(pd.concat([train, test])))
    if earlier is not None and (present or earlier["label"].notna().any()):
        past = set(earlier["label"].dropna())
        class_sets |= {"lost_classes": past - present, "new_classes": present - past}
    return {name: sorted(map(str, names)) for name, names in class_sets.items()}


def _statistics(frame: pd.DataFrame, good: pd.DataFrame) -> dict[str, Any]:
    return {
        "images": len(frame),
        "accepted": len(good),
        "refused": int(((frame["status"] != "ok") & (frame["status"] != "aside")).fillna(True).sum()),
        "aside": count_reasons(frame, "aside"),
        "refused_by_reason": count_reasons(frame),
        "notes": _counts(good["note"]),
        "classes": _counts(good["label"]),
        "modes": _counts(good["mode"]),
        "formats": _counts(good["format"]),
        **{name: _round(good[name].mean()) for name in ("mean", "std", "sharpness", "entropy")},
        **{
            side: {kind: _round(getattr(good[side], kind)()) for kind in ("min", "median", "max")}
            for side in ("width", "height")
        },
    }


def _counts(column: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().sort_index().items()}


def _share(count: float, whole: float) -> float:
    return round(count / whole, 6) if whole else 0.0


def _round(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), 4)
