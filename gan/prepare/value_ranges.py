"""Which values are black and white in images of more than 8 bits: one range for each kind in a source.

Floating point is 0 to 1, -1 to 1, 0 to 255 or 0 to 65535; integers have 8, 10, 12, 14, 16, 24 or 31
bits, the fewest that hold the set's greatest value. A little beyond (rounding, resampling) is cut off. What
fits none, or leaves a tenth of the images nearly black, is asked for.
"""

from collections.abc import Sequence

from gan.errors import UserError
from gan.prepare.decoding.depth import Extremes, Range

_OVER = 0.05  # of a floating-point range, may lie beyond it
_ROUNDING = 0.005  # the same of integers
_DARK = 1 / 100  # of the range: an image that stays below is nearly black
_FEW = 0.1  # of the images may be so dark
_BITS = (8, 10, 12, 14, 16, 24, 31)
_SIGNED: Range = (-1, 1)
_FLOATS: tuple[tuple[Range, float], ...] = (  # and what the greatest value is above
    ((0, 1), 0.0),
    ((0, 255), 16.0),
    ((0, 65535), 4096.0),
)


def decide_ranges(extremes: Sequence[Extremes]) -> dict[str, Range]:
    """Return the range of each kind of sample. Raises UserError where it cannot be decided."""
    return {
        kind: _decide([each for each in extremes if each.kind == kind])
        for kind in sorted({e.kind for e in extremes})
    }


def _decide(extremes: Sequence[Extremes]) -> Range:
    kind = extremes[0].kind
    low, high = min(each.low for each in extremes), max(each.high for each in extremes)
    known = _of_floats(low, high) if kind.startswith("float") else _of_integers(low, high)
    if known is None:
        raise UserError(
            f"data.value_range: {len(extremes)} images of {kind} hold {low:g} to {high:g}, which is no usual "
            "range; set it to what is black and white, such as [0, 1]"
        )
    dark = [each for each in extremes if known != _SIGNED and each.high < _DARK * known[1] and each.high > 0]
    if len(dark) > _FEW * len(extremes):
        most = max(each.high for each in dark)
        raise UserError(
            f"data.value_range: images of {kind} hold up to {high:g}, but {len(dark)} of {len(extremes)} no "
            f"more than {most:g}; set it to what is black and white in all, such as [0, {known[1]:g}], "
            "or give images of one range"
        )
    return known


def _of_floats(low: float, high: float) -> Range | None:
    if -1 - _OVER <= low < -_OVER:
        return _SIGNED if high <= 1 + _OVER else None
    fitting = [known for known, least in _FLOATS if least < high <= known[1] * (1 + _OVER)]
    fitting = fitting or ([(0, 1)] if high == 0 else [])
    return fitting[0] if fitting and low >= -_OVER * fitting[0][1] else None


def _of_integers(low: float, high: float) -> Range | None:
    tops = [2**bits - 1 for bits in _BITS]
    return next(((0, top) for top in tops if low >= 0 and high <= top * (1 + _ROUNDING)), None)
