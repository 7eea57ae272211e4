"""The claim that every generated picture carries in its metadata: made by a trained model, and by which.

XMP (ISO 16684-1) with the IPTC Photo Metadata Standard's `Digital Source Type`. Plain text: anyone can
write it or remove it, so it informs the honest and proves nothing; see gan/provenance/credentials.py.
"""

import re
from dataclasses import dataclass

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = f"{SOURCE_TYPES}trainedAlgorithmicMedia"
COMPOSITE = f"{SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"  # generated beside real ones

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:ganflow="urn:ganflow:xmp:1.0/">
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
   <ganflow:ModelSha256>{model}</ganflow:ModelSha256>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""
# As an element or, as other programs write it back, as an attribute.
_MODEL = re.compile(r"ModelSha256\s*(?:>|=\s*[\"'])\s*([0-9a-f]{64})\b")
_SOURCE_TYPE = re.compile(rf"DigitalSourceType\s*(?:>|=\s*[\"'])\s*{re.escape(SOURCE_TYPES)}(\w+)")
KEY = "XML:com.adobe.xmp"  # of a PNG's text chunk that holds the packet
_LONGEST = 1 << 20  # characters of a packet that are looked through


@dataclass(frozen=True)
class Claim:
    """What a picture says of itself: the model's SHA-256 and the last part of its source type, or None."""

    model: str | None
    source_type: str | None


def packet(model: str, *, composite: bool = False) -> str:
    """Return the XMP packet of a picture made by the model file with this SHA-256 (64 hex digits).

    ``composite``: real images stand in it too. Raises ValueError where ``model`` is no SHA-256.
    """
    if not re.fullmatch("[0-9a-f]{64}", model):
        raise ValueError(f"{model!r} is not a SHA-256 in hexadecimal")
    return _PACKET.format(source_type=COMPOSITE if composite else GENERATED, model=model)


def claims(content: bytes, model: str) -> bool:
    """Say whether a PNG's bytes hold a packet of ours that names this model."""
    return f"ModelSha256>{model}<".encode() in content


def read(packet: str) -> Claim:
    """Return what an XMP packet, whoever wrote it, claims; it is never parsed as XML."""
    text = packet[:_LONGEST]
    model, source_type = _MODEL.search(text), _SOURCE_TYPE.search(text)
    return Claim(model and model[1], source_type and source_type[1])
