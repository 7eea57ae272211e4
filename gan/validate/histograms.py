"""Histograms as small SVG texts, coloured by the page's style."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FOOT = 300, 84, 16  # units of the drawing; its text has 11

Counts = NDArray[np.integer[Any]]


def histogram(counts: Counts, other: Counts | None, edge: Callable[[float], float], label: str) -> str:
    """Draw shares in bins as bars, and those of ``other`` as an outline over them.

    counts, other: (bins,). ``edge`` gives the value at 0 … 1 along the bins; empty bins at both ends
    are cut off. ``label``, for who cannot see it, is the caller's to escape.
    """
    total = counts if other is None else counts + other
    filled = np.flatnonzero(total)
    first, last = max(0, int(filled[0]) - 1), min(len(counts), int(filled[-1]) + 2)
    shares = [each[first:last] / max(1, each.sum()) for each in (counts, other) if each is not None]
    top = max(float(share.max()) for share in shares)
    step = WIDTH / (last - first)
    heights = [[round(float(value) / top * HEIGHT, 1) for value in share] for share in shares]
    bars = "".join(
        f"M{_short(index * step + 0.5)} {HEIGHT}v{_short(-height)}h{_short(step - 1)}v{_short(height)}z"
        for index, height in enumerate(heights[0])
        if height
    )
    outline = ""
    if other is not None:
        steps = "".join(f"V{_short(HEIGHT - height)}h{_short(step)}" for height in heights[1])
        outline = f'<path class="was" d="M0 {HEIGHT}{steps}V{HEIGHT}"/>'
    marks = [(0, "start", first), (WIDTH / 2, "middle", (first + last) / 2), (WIDTH, "end", last)]
    texts = "".join(
        f'<text x="{_short(x)}" y="{HEIGHT + FOOT - 3}" text-anchor="{anchor}">'
        f"{_mark(edge(bin_edge / len(counts)))}</text>"
        for x, anchor, bin_edge in marks
    )
    return (
        f'<svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + FOOT + 1}" role="img" aria-label="{label}">'
        f'<path class="bars" d="{bars}"/>{outline}<path class="axis" d="M0 {HEIGHT}H{WIDTH}"/>{texts}</svg>'
    )


def _mark(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
