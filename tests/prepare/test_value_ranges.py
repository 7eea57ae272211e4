"""More than 8 bits: one range for all images of a source, decided or asked for, never each image's own."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.prepare.decoding.depth import Extremes
from gan.prepare.value_ranges import decide_ranges
from tests.data.image_files import encoded, folder, picture
from tests.prepare.decoding.test_decode import png
from tests.stages.project import Project

GREY = np.asarray(picture(1, (32, 32), "L")).astype(np.float64)


@pytest.mark.parametrize(
    ("kind", "least", "most", "expected"),
    [
        ("float32", 0, 1, (0, 1)),
        ("float32", 0, 1.001, (0, 1)),
        ("float32", -0.01, 0.97, (0, 1)),
        ("float32", -1, 1, (-1, 1)),
        ("float32", 0, 255.5, (0, 255)),
        ("float32", 0, 65535, (0, 65535)),
        ("float64", 0, 0.02, (0, 1)),
        ("uint16", 0, 255, (0, 255)),
        ("uint16", 3, 1001, (0, 1023)),
        ("uint16", 0, 4095, (0, 4095)),
        ("uint16", 0, 16001, (0, 16383)),
        ("uint16", 0, 40000, (0, 65535)),
        ("int32", 0, 256, (0, 255)),
        ("int32", 0, 65536, (0, 65535)),
        ("int32", 0, 2**31 - 1, (0, 2**31 - 1)),
    ],
)
def test_what_a_set_says_of_itself(kind, least, most, expected):
    extremes = [Extremes(kind, least, most), *[Extremes(kind, max(least, 0), most * 0.8)] * 3]
    assert decide_ranges(extremes) == {kind: expected}


@pytest.mark.parametrize(("least", "most"), [(0, 1.2), (0, 10), (-3, 1), (0, 1000), (-1, 255), (0, 1e9)])
def test_what_is_no_usual_range_is_asked_for(least, most):
    with pytest.raises(UserError, match=r"data.value_range: .* black and white, such as"):
        decide_ranges([Extremes("float32", least, most)] * 4)


def test_images_of_several_ranges_are_asked_for():
    for kind, tops in (("float32", (1, 255)), ("int32", (255, 65535)), ("float32", (0.9, 60000))):
        with pytest.raises(UserError, match="set it to what is black and white"):
            decide_ranges([Extremes(kind, 0, top) for top in tops])


def source(values: np.ndarray, kind: str, scales: list[float]) -> dict[str, bytes]:
    """Pictures of one kind; ``scales``: how bright each is."""
    return {
        f"{number}.{kind.lower()}": encoded(Image.fromarray((values * scale).astype(values.dtype)), kind)
        for number, scale in enumerate(scales)
    }


BITS12 = (GREY / 255 * 4095).astype(np.uint16)
SOURCES = {
    "float over 1": ((GREY / 255 * 1.001).astype(np.float32), "TIFF", "0 is black, 1 is white"),
    "12 bits in a PNG": (BITS12, "PNG", "0 is black, 4095 is white"),
    "12 bits in a TIFF": (BITS12, "TIFF", "0 is black, 4095 is white"),
    "32 bits up to 256": ((GREY / 255 * 256).astype(np.int32), "TIFF", "0 is black, 255 is white"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_scale_is_one_for_all_images(tmp_path, name):
    values, kind, note = SOURCES[name]
    brightness = [1.0, 0.5, 0.25, 0.99]
    project = Project(tmp_path / "p", folder(tmp_path / "x", source(values, kind, brightness)))
    assert note in project.run("download", "prepare")
    prepared = project.path / "data" / "prepared"
    rows = pd.read_parquet(prepared / "manifest.parquet")
    arrays = {half: read_arrays(prepared / f"{half}.safetensors") for half in ("train", "test")}
    for row, scale in zip(rows.to_dict("records"), brightness, strict=True):
        assert "reduced from 0 to" in row["note"]
        pixels = arrays[row["split"]].images[row["index"]][0]
        np.testing.assert_allclose(pixels, GREY * scale, atol=1.5)


def test_what_is_asked_for_is_answered_by_value_range(tmp_path):
    values = (GREY / 255 * 10).astype(np.float32)
    project = Project(tmp_path / "p", folder(tmp_path / "x", source(values, "TIFF", [1.0, 0.6, 0.8])))
    project.run("download")
    assert "which is no usual range; set it to what is black" in project.fail("prepare")
    project.set(data__value_range=[0, 10])
    assert "float reduced from 0 to 10" in project.run("prepare")
    project.set(data__value_range=[10, 0])
    assert "black has to be less than white" in project.fail("prepare")


def test_twelve_bits_of_colour():
    from tests.prepare.decoding.test_decode import prepare

    values = (np.asarray(picture(3, (32, 32))) / 255 * 4095).astype(">u2")
    import zlib

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    pixels, facts = prepare(png(32, 32, zlib.compress(rows), depth=16, colour=2))
    assert facts["note"] == "16-bit reduced from 0 to 4095"
    np.testing.assert_allclose(pixels.transpose(1, 2, 0), np.asarray(picture(3, (32, 32))), atol=1)
