"""From the seconds of chunks to figures, a table and a chart.

Machines are noisy, and so are their neighbours: contestants are compared within a round, and the
median of those ratios is told with its range.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

COLUMNS = ["round", "name", "seconds_per_step", "seconds_per_step_mean", "images_per_second", "peak_flops"]


def row(number: int, name: str, seconds: list[float], batch: int, device: str) -> dict[str, object]:
    """Return one round of one contestant; ``peak_flops`` comes when the round ends.

    A CPU's chunk counts by its median step. A GPU's by the mean: its steps are not timed one by one,
    and a peer whose loader delivers in bursts would hide its waiting in a median.
    """
    mean = statistics.fmean(seconds)
    each = statistics.median(seconds) if device == "cpu" else mean
    return dict(zip(COLUMNS, (number, name, each, mean, batch / each, 0.0), strict=True))


def summarise(rounds: pd.DataFrame, flops: Mapping[str, float]) -> pd.DataFrame:
    """Return a row a contestant: medians over the rounds, ranges, and ratios to every other one.

    ``rounds`` has COLUMNS, ``flops`` the FLOPs of a step by name.
    """
    speed, seconds, peak = (
        rounds.pivot(index="round", columns="name", values=column)
        for column in ("images_per_second", "seconds_per_step", "peak_flops")
    )
    summaries = []
    for name in rounds["name"].drop_duplicates():
        rate = flops[name] / seconds[name]
        line = {
            "name": name,
            "images_per_second": speed[name].median(),
            "images_per_second_min": speed[name].min(),
            "images_per_second_max": speed[name].max(),
            "ms_per_step": seconds[name].median() * 1e3,
            "gflop_per_step": flops[name] / 1e9,
            "gflops": rate.median() / 1e9,
            "peak_gflops": peak[name].median() / 1e9,
            "share_of_peak": rate.median() / peak[name].median(),
        }
        for other in speed.columns.drop(name):
            ratio = speed[name] / speed[other]
            line |= {
                f"x {other}": ratio.median(),
                f"x {other} min": ratio.min(),
                f"x {other} max": ratio.max(),
            }
        summaries.append(line)
    return pd.DataFrame(summaries)


def table(summary: pd.DataFrame, bases: Sequence[str]) -> str:
    """Lay out the summary as text, with the ratios to ``bases``."""
    head = ["", "images/s", "range", "ms/step"]
    head += [f"× {base}" for base in bases] + ["GFLOP/s", "% of peak"]
    lines = [_cells(line, bases) for _, line in summary.iterrows()]
    return align([head, *lines])


def _cells(line: "pd.Series[Any]", bases: Sequence[str]) -> list[str]:
    cells = [
        line["name"],
        f"{line['images_per_second']:.1f}",
        f"{line['images_per_second_min']:.1f}-{line['images_per_second_max']:.1f}",
        f"{line['ms_per_step']:.2f}",
    ]
    for base in bases:
        is_base = base == line["name"]
        ratio, low, high = (1, 1, 1) if is_base else (line[f"x {base}{end}"] for end in ("", " min", " max"))
        cells.append("1" if is_base else f"{ratio:.2f} ({low:.2f}-{high:.2f})")
    return [*cells, f"{line['gflops']:.1f}", f"{100 * line['share_of_peak']:.1f}"]


def align(lines: list[list[str]]) -> str:
    """Return lines of cells as text; the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def chart(summary: pd.DataFrame, path: Path, title: str) -> bool:
    """Write bars of images/s with their ranges as SVG; False where matplotlib is missing."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return False
    with mpl.rc_context({"svg.hashsalt": "throughput", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7.2, 1.5 + 0.4 * len(summary)), layout="constrained")
        axes = figure.subplots()
        speed = summary["images_per_second"]
        ranges = [speed - summary["images_per_second_min"], summary["images_per_second_max"] - speed]
        axes.barh(summary["name"], speed, xerr=ranges, color="#3b82f6", ecolor="#888888", capsize=3)
        for index, value in enumerate(speed):
            axes.text(0, index, f" {value:.0f}", va="center", color="white")
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("images/s: median over the rounds, and range")
        axes.set_title(title.replace("; ", "\n"), fontsize=8, loc="left")
        figure.savefig(path, format="svg", metadata={"Date": None})
    return True
