"""Curves as SVG text that is the same for the same figures."""

import io
import re
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure

# No random ids (hashsalt), text as text, and a grey that reads on white and on black paper.
STYLE: Any = {
    "svg.hashsalt": "ganflow",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": "#888888",
    "axes.labelcolor": "#888888",
    "axes.edgecolor": "#888888",
    "xtick.color": "#888888",
    "ytick.color": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=["#3b82f6", "#f97316", "#10b981"]),
}


def lines(frame: pd.DataFrame, x: str, columns: dict[str, str], y_label: str, *, log: bool = False) -> str:
    """Draw some columns of a frame over column ``x``; ``columns`` maps their names to legends."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
        for column, legend in columns.items():
            axes.plot(frame[x], frame[column], label=legend, linewidth=1.6)
        axes.set(xlabel=x, ylabel=y_label, yscale="log" if log else "linear")
        axes.legend(frameon=False)
        return _svg(figure)


def bars(frame: pd.DataFrame, names: str, columns: dict[str, str], y_label: str) -> str:
    """Draw grouped bars, a group for each row of a frame."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
        frame.set_index(names)[list(columns)].rename(columns=columns).plot.bar(ax=axes, width=0.75, rot=30)
        axes.set(xlabel="", ylabel=y_label)
        axes.legend(frameon=False)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)  # about matplotlib
