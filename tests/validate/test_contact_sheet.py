"""The page shows what the network sees."""

import base64
import io
import re

import pandas as pd
from PIL import Image

from gan.data.arrays import read_arrays
from gan.validate.contact_sheet import by_change, by_class
from tests.data.image_files import encoded, folder, picture
from tests.stages.project import Project


def size(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).size


def test_a_hundred_by_class_and_each_kind_of_change(tmp_path):
    content = {
        f"{name}/{n}.png": encoded(picture(n + 100 * (name == "dog")))
        for name in ("cat", "dog")
        for n in range(70)
    }
    content["cat/turned.png"] = encoded(
        picture(500), exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    )
    content["dog/cut.png"] = content["dog/1.png"][:200]
    project = Project(tmp_path / "p", folder(tmp_path / "x", content), validate__min_decodable=0.5)
    project.run("download", "prepare", "validate")
    page = (project.path / "reports/validation/index.html").read_text()
    section = page.partition("What the network sees")[2].partition("<h2>Refused")[0]
    strips = re.findall(r'src="(data:image/webp[^"]+)"', section)
    prepared = project.path / "data/prepared"
    rows = pd.read_parquet(prepared / "manifest.parquet")
    halves = {half: read_arrays(prepared / f"{half}.safetensors") for half in ("train", "test")}
    good = rows[rows["status"] == "ok"]
    sheet, changes = by_class(good, halves), by_change(good, halves)
    assert [row["name"] for row in sheet] == ["cat", "dog"]
    assert [size(row["address"]) for row in sheet] == [(50 * 34 - 2, 32)] * 2  # fifty each
    assert strips == [row["address"] for row in (*sheet, *changes)]
    assert "rotated by EXIF: 1 image; <bdi>cat/turned.png</bdi>" in section
    assert "truncated" in page.partition("Refused, by reason")[2] and "dog/cut.png" in page
    unlabelled = by_class(good.assign(label=None), halves)
    assert len(unlabelled) == 10 and sum(size(row["address"])[0] + 2 for row in unlabelled) == 100 * 34
