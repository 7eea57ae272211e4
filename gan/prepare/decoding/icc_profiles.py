"""ICC profiles made from what other formats say: primaries, white point and transfer function.

Matrix profiles of version 2 (ICC.1:2001-04), with the linear Bradford adaptation to D50. Code points
are those of ITU-T H.273. The arithmetic is Python's own, so that the bytes do not depend on a library.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

Matrix = list[list[float]]

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
_D65 = (0.3127, 0.3290)
_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {  # x and y of red, green and blue; those that are not here are taken for sRGB's
    4: ((0.67, 0.33, 0.21, 0.71, 0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), _D65),
    6: ((0.63, 0.34, 0.31, 0.595, 0.155, 0.07), _D65),
    7: ((0.63, 0.34, 0.31, 0.595, 0.155, 0.07), _D65),
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), _D65),  # BT.2020
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.314, 0.351)),  # DCI-P3
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), _D65),  # Display P3
    22: ((0.630, 0.340, 0.295, 0.605, 0.155, 0.077), _D65),
}
_NAMES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_PAPER = 203.0  # cd/m²: white of a page in HDR (ITU-R BT.2408); what is brighter is cut off
_STEPS = 4096


def _srgb_curve(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _pq(value: float) -> float:
    """SMPTE ST 2084, in parts of a page's white."""
    power = value ** (1 / 78.84375)
    light = (max(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return float(min(1.0, light * 10_000 / _PAPER))


def _hlg(value: float) -> float:
    """ARIB STD-B67, in parts of a page's white (75 % of the signal)."""

    def scene(signal: float) -> float:
        if signal <= 0.5:
            return float(signal * signal / 3)
        return float((2.718281828459045 ** ((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)

    return float(min(1.0, (scene(value) / scene(0.75)) ** 1.2))


# Those of video (1, 6, 14, 15) and unknown ones are taken for sRGB's, as cameras mean them in stills.
_CURVES: dict[int, Callable[[float], float]] = {
    4: lambda value: value**2.2,
    5: lambda value: value**2.8,
    8: lambda value: value,
    16: _pq,
    18: _hlg,
}
_HDR = {16: "PQ", 18: "HLG"}


@lru_cache(maxsize=64)
def by_code_points(primaries: int, transfer: int) -> bytes | None:
    """Return the profile of code points of H.273, or None where they mean sRGB."""
    if primaries not in _PRIMARIES and transfer not in _CURVES:
        return None
    points, white = _PRIMARIES.get(primaries, (_REC709, _D65))
    curve = _CURVES.get(transfer, _srgb_curve)
    name = " ".join([_NAMES.get(primaries, f"primaries {primaries}"), _HDR.get(transfer, "")]).strip()
    if transfer in _CURVES and transfer not in _HDR:
        name += f" transfer {transfer}"
    return _matrix_profile(name, points, white, [curve(step / (_STEPS - 1)) for step in range(_STEPS)])


@lru_cache(maxsize=64)
def by_gamma(gama: bytes, chrm: bytes | None) -> bytes | None:
    """Return the profile of a PNG's gAMA and cHRM chunks, or None where they mean sRGB or nothing."""
    if len(gama) != 4 or not (coded := int.from_bytes(gama, "big")):
        return None
    points, white = _REC709, _D65
    if chrm is not None and len(chrm) == 32:
        values = [value / 100_000 for value in struct.unpack(">8I", chrm)]
        if min(values[1::2]) > 0:
            points, white = tuple(values[2:]), (values[0], values[1])
    usual = abs(coded - 45_455) <= 1_000  # what programs write that mean sRGB
    if usual and max(abs(ours - theirs) for ours, theirs in zip(points, _REC709, strict=True)) < 0.002:
        return None
    curve = [(step / 1023) ** (100_000 / coded) for step in range(1024)]
    return _matrix_profile(f"gamma {coded / 100_000:.4g}", points, white, curve)


def _matrix_profile(
    name: str, points: Sequence[float], white: tuple[float, float], curve: Sequence[float]
) -> bytes | None:
    """Return the bytes of a profile of three primaries (x, y each) and one curve of values 0 to 1."""
    try:
        columns = _colorants(points, white)
    except ZeroDivisionError:
        return None
    entries = struct.pack(f">{len(curve)}H", *(round(min(1.0, max(0.0, value)) * 65535) for value in curve))
    text = name.encode("ascii", "replace") + b"\0"
    tags: list[tuple[bytes, bytes]] = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)),
        (b"cprt", b"text" + bytes(4) + b"none\0"),
        (b"wtpt", b"XYZ " + bytes(4) + _fixed(_D50)),
        *(
            (tag, b"XYZ " + bytes(4) + _fixed(c))
            for tag, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        ),
        (b"rTRC", b"curv" + bytes(4) + struct.pack(">I", len(curve)) + entries),
    ]
    table, data = b"", b""
    begin = 128 + 4 + 12 * (len(tags) + 2)
    for tag, body in tags:
        table += struct.pack(">4sII", tag, begin + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    table += b"".join(tag + table[-8:] for tag in (b"gTRC", b"bTRC"))
    size = begin + len(data)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", size, bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp"
    )
    head += bytes(28) + _fixed(_D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags) + 2) + table + data


def _colorants(points: Sequence[float], white: tuple[float, float]) -> Matrix:
    """Return X, Y, Z of red, green and blue under D50."""
    primaries = [[x / y, 1.0, (1 - x - y) / y] for x, y in zip(points[::2], points[1::2], strict=True)]
    light = [white[0] / white[1], 1.0, (1 - white[0] - white[1]) / white[1]]
    amounts = _times(_inverse(_transposed(primaries)), light)
    seen, wanted = _times(_BRADFORD, light), _times(_BRADFORD, _D50)
    scaled = [[w / s * value for value in row] for s, w, row in zip(seen, wanted, _BRADFORD, strict=True)]
    adapt = [_times(_transposed(scaled), row) for row in _inverse(_BRADFORD)]
    return [
        _times(adapt, [amount * value for value in row])
        for amount, row in zip(amounts, primaries, strict=True)
    ]


def _times(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _transposed(matrix: Matrix) -> Matrix:
    return [list(row) for row in zip(*matrix, strict=True)]


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return [
        [(e * i - f * h) / whole, (c * h - b * i) / whole, (b * f - c * e) / whole],
        [(f * g - d * i) / whole, (a * i - c * g) / whole, (c * d - a * f) / whole],
        [(d * h - e * g) / whole, (b * g - a * h) / whole, (a * e - b * d) / whole],
    ]


def _fixed(values: Sequence[float]) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))


_ADOBE = ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), _D65)
ADOBE_RGB = _matrix_profile("Adobe RGB", *_ADOBE, [(step / 1023) ** 2.19921875 for step in range(1024)])
