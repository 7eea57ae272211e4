"""What libjpeg warns of while it decodes: a picture with holes, or a harmless oddity of the file.

libjpeg decodes what is there and fills the rest; its first warning is all that is known of it. Bytes
left over before the end marker are harmless when they are few or mere padding: cameras leave some.
Many of them, or long runs of one byte within the pixels' data, are what a hole looks like.

Zeros where a sector was lost may be a legal stream of bits, of which libjpeg does not warn. What they stand
for follows from the Huffman tables (ITU-T T.81, annex C): the code that is all zeros. Where that is the end
of a block, zeros are flat blocks, as an encoder writes them too; where it is a coefficient, they are block
after block full of it, which no encoder writes.
"""

import re
import struct
from collections.abc import Iterator

_FEW = 32  # bytes left over before the end marker, at most, that may be anything
_RUN = re.compile(rb"(.)\1{31}", re.DOTALL)  # of one byte
_ZEROS = bytes(64)  # fill two blocks with coefficients of three bits, and more
_MARKER = re.compile(rb"\xff([\xc2\xd9\xda])")
_SCAN_END = re.compile(rb"\xff[^\0\xd0-\xd7\xff]")
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_HARMLESS = (
    "Unknown Adobe color transform",
    "Warning: unknown JFIF revision",
    "inconsistent ICC",
    "Corrupt ICC",
)


def reason(warning: str, content: bytes) -> str | None:
    """Return why a JPEG that was warned of is to be refused, or None when it is whole all the same."""
    if warning.startswith(_HARMLESS):
        return None
    if warning.startswith("Premature end of JPEG file"):
        return "truncated"
    left_over = _LEFT_OVER.search(warning)
    if left_over is None:
        return "damaged"
    count = int(left_over[1])
    start, end = _scan(content)
    tail, pixels = content[max(start, end - count) : end], content[start : max(start, end - count)]
    harmless = (count <= _FEW or len(set(tail)) == 1) and not _RUN.search(pixels)
    return None if harmless else "damaged"


def has_zeros(content: bytes) -> bool:
    """Say whether the pixels' data have a run of zero bytes that no encoder writes."""
    if _ZEROS not in content:
        return False
    return any(_ZEROS in data and not flat for data, flat in _scans(content))


def lacks_scans(content: bytes) -> bool:
    """Say whether a progressive JPEG ends before its last scans: libjpeg takes that for a coarse picture."""
    if b"\xff\xc2\0" not in content:
        return False
    left: dict[int, list[int]] = {}  # of each component, bits of each coefficient that have not come
    for marker in _MARKER.finditer(content, _first_segment(content, 0xC2)):
        kind, body = marker[1][0], content[marker.end() + 2 : marker.end() + 80]
        if kind == 0xC2:
            left = {body[6 + 3 * number]: [99] * 64 for number in range(body[5])}
        elif kind == 0xDA and body:
            count = body[0]
            first, last, low = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count] & 15
            for component in body[1 : 1 + 2 * count : 2]:
                if component in left:
                    left[component][first : last + 1] = [low] * (last + 1 - first)
        elif kind == 0xD9:
            break
    return any(any(bits) for bits in left.values())


def _scans(content: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield each scan's entropy-coded data, and whether zeros in it may be flat blocks."""
    symbols: dict[int, int] = {}  # by class and number of a Huffman table: what its code of zeros stands for
    offset = 2
    while offset + 4 <= len(content) and content[offset] == 0xFF and content[offset + 1] != 0xD9:
        kind = content[offset + 1]
        if kind == 0xFF:  # filling
            offset += 1
            continue
        length = int(struct.unpack_from(">H", content, offset + 2)[0])
        body = content[offset + 4 : offset + 2 + length]
        offset += 2 + length
        if kind == 0xC4:
            symbols |= _zero_symbols(body)
        elif kind == 0xDA:
            end = _SCAN_END.search(content, offset)
            stop = end.start() if end else len(content)
            yield content[offset:stop], _may_be_flat(body, symbols)
            offset = stop


def _zero_symbols(body: bytes) -> dict[int, int]:
    """Return each Huffman table's first symbol, which has the code of zeros alone."""
    symbols = {}
    offset = 0
    while offset + 17 < len(body):
        symbols[body[offset]] = body[offset + 17]
        offset += 17 + sum(body[offset + 1 : offset + 17])
    return symbols


def _may_be_flat(header: bytes, symbols: dict[int, int]) -> bool:
    """Say whether zeros in a scan may be what an encoder makes of equal blocks; if in doubt, they may."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count or not header[2 + 2 * count]:  # means alone: a steady fall has zeros too
        return True
    return not any(symbols.get(0x10 | table & 15) for table in header[2 : 2 + 2 * count : 2])


def _scan(content: bytes) -> tuple[int, int]:
    """Return where the pixels' data begin and end, as the file's markers say."""
    start = _first_segment(content, 0xDA)
    end = content.find(b"\xff\xd9", start)
    return start, end if end >= 0 else len(content)


def _first_segment(content: bytes, kind: int) -> int:
    """Return where the first segment of a kind begins; those before it may hold anything, a preview too."""
    offset = 2
    while offset + 4 <= len(content) and content[offset] == 0xFF and content[offset + 1] != kind:
        filling = content[offset + 1] == 0xFF
        offset += 1 if filling else 2 + int(struct.unpack_from(">H", content, offset + 2)[0])
    return offset
