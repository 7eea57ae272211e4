"""The page of the stage validate: what was expected, what was found, and the images in question."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from gan.data.arrays import Arrays
from gan.templating import fill
from gan.validate.contact_sheet import by_change, by_class
from gan.validate.drift import AXES, BINS, NAMES
from gan.validate.drift import histogram as counted
from gan.validate.histograms import histogram
from gan.validate.manifest_summary import accepted
from gan.validate.repeated_images import Offenders
from gan.validate.thumbnails import Thumbnails
from gan.validate.validation_result import Verdict

THUMBNAILS = 12  # an expectation
TOGETHER = 4  # images of a group of repeats
ROWS = 40  # of a table; what has more says so
NAME = 80  # characters of a name


def page(
    verdict: Verdict,
    manifest: pd.DataFrame,
    halves: Mapping[str, Arrays],
    reference: pd.DataFrame | None = None,
) -> str:
    """Return a page that needs nothing but itself, the same for the same manifest, below 2 MB.

    ``halves``: the packed arrays by half, for thumbnails; ``reference``: an earlier manifest's accepted rows.
    """
    good, thumbnails = accepted(manifest), Thumbnails(halves)
    cards = [
        _card(item, verdict.offenders.get(item["key"]), good, thumbnails)
        for item in sorted(verdict.result["expectations"], key=_urgency)
    ]
    failed = [card for card in cards if not card["success"]]
    failed_columns = {
        (card["frame"], card["column"]) for card in failed
    }  # of the same figure, with the same images
    statistics = verdict.result["statistics"]
    classes, past = statistics["classes"], statistics.get("reference", {}).get("classes", {})
    names = sorted({*classes, *past})
    halved = good.groupby(["label", "split"]).size().unstack(fill_value=0)
    return fill(
        Path(__file__).parent / "templates" / "validation.html.j2",
        {
            "statistics": statistics,
            "worst": verdict.result["worst"],
            "failed": failed,
            "noted": [
                card
                for card in cards
                if card["success"]
                and card["groups"]
                and (card["frame"], card["column"]) not in failed_columns
            ],
            "expectations": [{**item, "shown": figure(item)} for item in verdict.result["expectations"]],
            "sheet": [{**row, "name": readable(row["name"])} for row in by_class(good, halves)],
            "changes": [
                {**kind, "name": readable(kind["name"]), "names": [readable(name) for name in kind["names"]]}
                for kind in by_change(good, halves)
            ],
            "reasons": _reasons(manifest, statistics["refused_by_reason"]),
            "histograms": _histograms(good, reference, verdict.result["drift"]),
            "compared": reference is not None,
            "classes": [
                {
                    "name": readable(name),
                    "past": past.get(name, 0),
                    "all": classes.get(name, 0),
                    **{half: _cell(halved, name, half) for half in ("train", "test")},
                }
                for name in names[:ROWS]
            ],
            "more_classes": max(0, len(names) - ROWS),
            "most": max([*classes.values(), 1]),
            "kinds": _kinds(statistics),
        },
    )


def readable(name: Any) -> str:
    """Return a name fit to be read: control and direction marks escaped, the middle of a long one cut out.

    The template escapes what HTML would take for its own.
    """
    text = "" if pd.isna(name) else str(name)
    if len(text) > NAME:
        text = f"{text[: NAME // 2]} … {text[-NAME // 2 :]}"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def figure(item: Mapping[str, Any]) -> str:
    """Return what was observed of an expectation, as it is shown."""
    value = item["observed"]
    if value is None:
        return f"cannot be told: {readable(item['error'])}"
    return (
        f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def _urgency(item: Mapping[str, Any]) -> int:
    return ["critical", "warning", "info"].index(item["severity"])


def _card(
    item: Mapping[str, Any], offenders: Offenders | None, good: pd.DataFrame, thumbnails: Thumbnails
) -> dict[str, Any]:
    """Return what is shown of an expectation: its figures, the images it points at, in their groups."""
    groups, left = [], THUMBNAILS
    for rows in offenders.groups(good, THUMBNAILS, TOGETHER) if offenders else []:
        if len(rows) > left:
            break
        left -= len(rows)
        groups.append([_image_card(row, thumbnails) for row in rows.to_dict("records")])
    return {
        **item,
        "shown": figure(item),
        "classes": [readable(name) for name in item["classes"]],
        "groups": groups,
        "together": offenders is not None and offenders.by is not None,
        "images": sum(map(len, groups)),
        "seen": any(card["address"] for group in groups for card in group),
    }


def _image_card(row: Mapping[Any, Any], thumbnails: Thumbnails) -> dict[str, Any]:
    facts = [row.get("split"), row.get("label"), row.get("reason")]
    return {
        "name": readable(row.get("path")),
        "facts": ", ".join(readable(fact) for fact in facts if fact is not None and not pd.isna(fact)),
        "address": thumbnails.address(row.get("split"), row.get("index")),
    }


def _reasons(manifest: pd.DataFrame, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return for each reason of refusal how many images, and the names of the first."""
    reasons = []
    for reason, count in list(counts.items())[:ROWS]:
        names = manifest.loc[(manifest["reason"] == reason).fillna(False), "path"].head(TOGETHER)
        reasons.append(
            {"reason": readable(reason), "count": count, "names": [readable(name) for name in names]}
        )
    return reasons


def _histograms(
    good: pd.DataFrame, reference: pd.DataFrame | None, drift: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    drawings = []
    for statistic, axis in AXES.items():
        counts = counted(good, statistic)
        other = None if reference is None else counted(reference, statistic)
        if not counts.sum():
            continue
        if other is not None and not other.sum():
            other = None
        label = escape(f"Histogram of {NAMES[statistic]}, {int(counts.sum())} images in {BINS} bins")
        drawing = histogram(counts, other, axis.value, str(label))
        drawings.append({"name": NAMES[statistic], "svg": Markup(drawing), "drift": drift.get(statistic)})  # noqa: S704
    return drawings


def _kinds(statistics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return further counts as rows of a table: sizes, modes, formats, what was done to images."""
    rows = []
    for side in ("width", "height"):
        value = statistics[side]
        if value["min"] is not None:
            text = f"{value['min']:.0f} to {value['max']:.0f}, median {value['median']:.0f} pixels"
            rows.append((side.capitalize(), text))
    for name, title in (("modes", "Modes"), ("formats", "Formats"), ("notes", "Done to them")):
        counts = sorted(statistics[name].items(), key=lambda pair: (-pair[1], pair[0]))
        texts = [f"{readable(kind)} {count:,}" for kind, count in counts[:THUMBNAILS]]
        if texts:
            rows.append((title, ", ".join(texts) + (" …" if len(counts) > THUMBNAILS else "")))
    return rows


def _cell(table: pd.DataFrame, name: str, half: str) -> int:
    present = name in table.index and half in table.columns
    return int(table[half][name]) if present else 0
