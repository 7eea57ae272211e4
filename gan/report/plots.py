"""Curves and bars as SVG text; the same figures give the same bytes."""

import io
import re
import warnings
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gan.report.model_card import cut

# Stand-in colours, which _svg replaces by the page's colour variables (light and dark).
TOKENS = {"#010203": "muted", "#010204": "line", "#010205": "one", "#010206": "two", "#010207": "three"}
GREY, LINE, *SERIES = TOKENS
# No random ids (hashsalt), text as text.
STYLE: Any = {
    "svg.hashsalt": "ganflow",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": GREY,
    "ytick.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "ytick.left": False,
    "axes.prop_cycle": cycler(color=SERIES),
}
SIZE = (4.9, 2.9)  # inches; its text is readable on a phone
LONGEST = 18  # characters of a class's name


def lines(frame: pd.DataFrame, x: str, columns: dict[str, str], y_label: str, *, log: bool = False) -> str:
    """Draw some columns of a frame over column ``x``; ``columns`` maps their names to legends."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        mark = "o" if len(frame) == 1 else None  # a line through one point shows nothing
        for column, legend in columns.items():
            axes.plot(frame[x], frame[column], label=legend, linewidth=1.8, marker=mark)
        axes.set(xlabel=x, ylabel=y_label)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _legend(figure)
        return _svg(figure)


def bars(frame: pd.DataFrame, names: str, columns: dict[str, str], y_label: str) -> str:
    """Draw grouped bars, a group for each row of a frame."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        table = frame.set_index(names)[list(columns)].rename(columns=columns)
        table.index = [_name(name) for name in table.index]
        short = len(table) <= 12 and all(len(name) <= 3 for name in table.index)
        table.plot.bar(ax=axes, width=0.75, rot=0 if short else 60, legend=False, grid=False)
        axes.yaxis.grid(True)
        axes.set(xlabel="", ylabel=y_label)
        _legend(figure)
        return _svg(figure)


def _name(name: object) -> str:
    """Return a class's name for an axis: short, and never a formula."""
    return cut(name, LONGEST).replace("$", r"\$")


def _legend(figure: Figure) -> None:
    """Put the legend above the axes, where no curve is."""
    figure.legend(loc="outside upper left", ncols=3, frameon=False, handlelength=1.2, borderpad=0)


def _svg(figure: Figure) -> str:
    """Return the figure as SVG to embed in a page: without a fixed size, in the page's colours."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has other fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # What is said about matplotlib, a style that would hold for the whole page, fonts of its own.
    text = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    text = re.sub(r' id="[a-z0-9.]+_\d+"', "", text)  # of groups: nothing refers to them
    for colour, token in TOKENS.items():
        text = text.replace(colour, f"var(--{token})")
    return text
