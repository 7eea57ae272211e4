import numpy as np
import pandas as pd
import pytest

from gan.data.manifest import COLUMNS, Rows, read_manifest
from gan.data.verdict import judge, line
from gan.errors import UserError
from gan.params import Validate

LIMITS = Validate(
    min_images=60,
    min_decodable=0.9,
    max_leaked=0.01,
    max_duplicates=0.05,
    min_class_balance=0.2,
    min_pixel_std=2.0,
)


def manifest(count=100, labels=("cat", "dog")):
    rows = Rows(COLUMNS)
    for number in range(count):
        split = "test" if number % 5 == 4 else "train"
        sum_ = f"{number:064x}"
        row = {"path": f"{number:03d}.png", "split": split, "sha256": sum_, "pixels_sha256": sum_}
        row |= {"index": number, "bytes": 99, "width": 40, "height": 32, "mode": "RGB", "format": "PNG"}
        row |= {"mean": 99.5, "std": 40.25, "status": "ok"}
        rows.add({**row, "label": labels[number // 5 % len(labels)] if labels else None})
    return rows.frame()


def failed(frame):
    result = judge(frame, LIMITS)
    return result, {item["name"]: item for item in result["expectations"] if not item["success"]}


def refuse(frame, places):
    frame.loc[places, ["status", "reason"]] = ["refused", "truncated"]
    frame.loc[places, ["split", "pixels_sha256"]] = pd.NA


@pytest.mark.parametrize("labels", [("cat", "dog"), ()])
def test_a_good_manifest_passes_and_gives_the_same_result_twice(labels):
    result, broken = failed(manifest(labels=labels))
    assert (result["success"], result["worst"], broken) == (True, None, {})
    assert result == judge(manifest(labels=labels), LIMITS)
    assert result["statistics"]["classes"] == ({"cat": 50, "dog": 50} if labels else {})


def plant_few(frame):
    refuse(frame, range(30, 95))


def plant_leak(frame):
    frame.loc[[4, 9], "pixels_sha256"] = frame.loc[0, "pixels_sha256"]


def plant_same_path(frame):
    frame.loc[1, "path"] = frame.loc[0, "path"]


def plant_no_test(frame):
    frame["split"] = "train"


def plant_unknown_class(frame):
    frame.loc[4, "label"] = "fox"


def plant_half_labelled(frame):
    frame.loc[[0, 1, 2, 3], "label"] = pd.NA


def plant_odd_split(frame):
    frame.loc[7, "split"] = "other"


def plant_no_size(frame):
    frame.loc[7, "width"] = 0


def plant_status(frame):
    frame.loc[7, "status"] = "maybe"


CRITICAL = {
    plant_few: "training images",
    plant_leak: "share of test images that stand in train too",
    plant_same_path: "no path stands twice",
    plant_no_test: "test images",
    plant_unknown_class: "test classes that train lacks",
    plant_half_labelled: "label is given",
    plant_odd_split: "half is known",
    plant_no_size: "width in pixels",
    plant_status: "status is known",
}


@pytest.mark.parametrize("plant", CRITICAL, ids=lambda plant: plant.__name__)
def test_planted_faults_that_stop_the_pipeline(plant):
    frame = manifest()
    plant(frame)
    result, broken = failed(frame)
    assert broken[CRITICAL[plant]]["severity"] == result["worst"] == "critical"
    assert result["success"] is False and result["statistics"]["failed_critical"] >= 1


def plant_one_unreadable(frame):
    refuse(frame, [7])


def plant_duplicates(frame):
    frame.loc[range(10, 14), "pixels_sha256"] = frame.loc[5, "pixels_sha256"]
    frame.loc[range(15, 19), "pixels_sha256"] = frame.loc[5, "pixels_sha256"]


def plant_blank(frame):
    frame.loc[[3, 8], "std"] = 0.0


def plant_imbalance(frame):
    keep = list(np.flatnonzero(frame["label"] == "cat"))[:5]
    frame["label"] = "dog"
    frame.loc[keep, "label"] = "cat"


def plant_untested_class(frame):
    frame.loc[frame["split"] == "test", "label"] = "cat"


def plant_odd_mode(frame):
    frame.loc[3, "mode"] = "XYZ"


WARNING = {
    plant_one_unreadable: ("every image can be read", "0.99", "1 image: '007.png'"),
    plant_duplicates: (
        "share of images that repeat another",
        "0.08",
        "8 images: '010.png', '011.png', '012.png' ...",
    ),
    plant_blank: ("contrast (std of pixels)", "2 of 100 differ", "2 images: '003.png', '008.png'"),
    plant_imbalance: ("smallest class over the mean class", "0.1", None),
    plant_untested_class: ("train classes that test lacks", "1", None),
    plant_odd_mode: ("pixel mode is known", "1 of 100 differ", "1 image: '003.png'"),
}


@pytest.mark.parametrize("plant", WARNING, ids=lambda plant: plant.__name__)
def test_planted_faults_that_are_only_shown(plant):
    frame = manifest()
    plant(frame)
    result, broken = failed(frame)
    name, observed, files = WARNING[plant]
    assert list(broken) == [name] and result["worst"] == "warning" and not result["success"]
    shown = line(broken[name])
    assert shown.startswith(f"warning: {name}: {observed}, expected ")
    assert shown.endswith(f"; {files}") if files else "image" not in shown.partition("expected")[2]


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_a_missing_column_fails(column):
    result, broken = failed(manifest().drop(columns=column))
    assert result["worst"] == "critical" and "the manifest has all its columns" in broken
    assert all(line(item) for item in broken.values())


def test_an_empty_manifest_fails():
    assert failed(manifest()[:0])[0]["worst"] == "critical"


def test_a_foreign_manifest_is_one_line(tmp_path):
    (tmp_path / "manifest.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"manifest\.parquet: not a whole parquet file"):
        read_manifest(tmp_path / "manifest.parquet")
