"""The summary of a preparation, in a few lines for the user."""

import re
from collections.abc import Callable, Iterator

import pandas as pd

from gan.data.lookalikes import quoted, twins
from gan.data.manifest import count_reasons

Tell = Callable[[str], None]

_LOOKED_AT = ("path", "split", "label", "pixels_sha256", "near_group", "format", "mode", "note")
_SHOWN = 3  # files named of each kind


def tell_account(frame: pd.DataFrame, shape: tuple[int, int, int], published: bool, tell: Tell) -> None:
    """Return lines about refused, changed and repeated images, and about the result.

    ``shape`` is that of an image, (C, H, W); ``published``: the halves are the source's own.
    """
    good = frame.loc[frame["status"] == "ok", list(_LOOKED_AT)]
    bad = frame["status"] == "refused"
    refused = [
        (reason, frame.loc[bad & (frame["reason"] == reason), "path"]) for reason in count_reasons(frame)
    ]
    _table("refused", refused, tell)
    aside = [
        (reason, frame.loc[(frame["status"] == "aside") & (frame["reason"] == reason), "path"])
        for reason in count_reasons(frame, "aside")
    ]
    _table("set aside", aside, tell)
    _table("noted", list(_notes(good)), tell)
    for group in twins(frame["path"])[:_SHOWN]:
        tell(f"files whose names print alike: {' and '.join(group)}")
    lost = sorted(set(frame["label"].dropna()) - set(good["label"].dropna()))
    if lost:
        tell(f"no image left of the classes {', '.join(quoted(lost, set(good['label'].dropna())))}")
    _tell_repeats(good, published, tell)
    kinds = good[["format", "mode"]].value_counts().reset_index().sort_values(["count", "format", "mode"])
    came = [f"{count} {kind} {mode}" for kind, mode, count in reversed(kinds.to_numpy().tolist())]
    tell(f"came as {', '.join(came)}")
    counts = good["split"].value_counts()
    classes = good["label"].nunique()
    halves = "the source's halves" if published else "held out by content"
    tell(
        f"{len(good)} of {len(frame)} images as {'×'.join(map(str, shape))}: "
        f"{counts.get('train', 0)} train, {counts.get('test', 0)} test ({halves}), "
        + (f"{classes} classes" if classes else "no labels")
    )


def _table(title: str, rows: list[tuple[str, "pd.Series[str]"]], tell: Tell) -> None:
    wide = max((len(name) for name, _ in rows), default=0)
    digits = max((len(str(len(paths))) for _, paths in rows), default=0)
    for name, paths in rows:
        files = ", ".join(quoted(paths.head(_SHOWN)))
        tell(f"{title} {len(paths):>{digits}}  {name:<{wide}}  {files}{' ...' * (len(paths) > _SHOWN)}")


def _notes(good: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[str]"]]:
    noted = good[good["note"].notna()]
    texts = noted["note"].map(lambda note: re.sub(r"(first frame of) \d+", r"\1 several", note).split(", "))
    of_note = noted.assign(note=texts).explode("note").groupby("note")["path"]
    yield from sorted(((str(name), paths) for name, paths in of_note), key=lambda pair: -len(pair[1]))


def _tell_repeats(good: pd.DataFrame, published: bool, tell: Tell) -> None:
    grouped = good[good["near_group"].notna()]
    if grouped.empty:
        return
    equal = int(grouped["pixels_sha256"].duplicated().sum())  # equal images have a group too
    tell(
        f"{len(grouped)} images repeat others, exactly or nearly, in "
        f"{grouped['near_group'].nunique()} groups (the column near_group); {equal} equal an earlier one"
    )
    if published:
        train, test = (grouped[grouped["split"] == half] for half in ("train", "test"))
        exact = test["pixels_sha256"].isin(train["pixels_sha256"])
        near = test["near_group"].isin(train["near_group"])
        if near.any():
            tell(
                f"leaks of the source's halves: {exact.sum()} test images stand in train too, "
                f"{(near & ~exact).sum()} nearly"
            )
