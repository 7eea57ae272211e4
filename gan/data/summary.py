"""What a manifest says as a whole: one row of figures, which expectations then range-check."""

from dataclasses import dataclass

import pandas as pd

from gan.data.manifest import COLUMNS, count_reasons


@dataclass(frozen=True)
class Summary:
    """Figures of a manifest, and for those that point at images the paths of these."""

    figures: dict[str, float]  # shares are 0 to 1
    offenders: dict[str, list[str]]  # of each such figure, in the manifest's order
    statistics: dict[str, object]  # counts to be shown
    labelled: bool


def summarise(manifest: pd.DataFrame) -> Summary:
    """Count and compare; columns that are missing count as empty, never as an error here."""
    frame = manifest.reindex(columns=list(COLUMNS))
    good = frame[frame["status"] == "ok"]
    train, test = good[good["split"] == "train"], good[good["split"] == "test"]
    refused = frame[frame["status"] != "ok"]
    repeated = good[good["pixels_sha256"].notna() & good["pixels_sha256"].duplicated()]
    leaked = test[test["pixels_sha256"].notna() & test["pixels_sha256"].isin(train["pixels_sha256"])]
    figures: dict[str, float] = {
        "train": len(train),
        "test": len(test),
        "decodable": _share(len(good), len(frame)),
        "duplicates": _share(len(repeated), len(good)),
        "leaked": _share(len(leaked), len(test)),
    }
    offenders = {"decodable": refused, "duplicates": repeated, "leaked": leaked}
    labelled = bool(good["label"].notna().any())
    if labelled:
        sizes = train["label"].value_counts()
        unknown = test[test["label"].notna() & ~test["label"].isin(sizes.index)]
        figures["class_balance"] = _share(float(sizes.min()), float(sizes.mean())) if len(sizes) else 0.0
        figures["unknown_classes"] = unknown["label"].nunique()
        figures["untested_classes"] = len(set(sizes.index) - set(test["label"].dropna()))
        offenders["unknown_classes"] = unknown
    statistics = {
        "images": len(frame),
        "accepted": len(good),
        "refused": len(refused),
        "refused_by_reason": count_reasons(frame),
        "train": len(train),
        "test": len(test),
        "classes": {
            str(name): int(count) for name, count in good["label"].value_counts().sort_index().items()
        },
        "mean": _round(good["mean"].mean()),
        "std": _round(good["std"].mean()),
    }
    paths = {name: [str(path) for path in rows["path"]] for name, rows in offenders.items()}
    return Summary(figures, paths, statistics, labelled)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0


def _round(value: float) -> float | None:
    return None if pd.isna(value) else round(float(value), 4)
