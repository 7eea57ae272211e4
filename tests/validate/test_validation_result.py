import numpy as np
import pandas as pd
import pytest

from gan.data.manifest import COLUMNS, read_manifest
from gan.errors import UserError
from gan.params import Validate
from gan.validate.manifest_summary import accepted
from gan.validate.reference_manifest import Reference
from gan.validate.validation_result import account, judge, line
from tests.data.example_manifests import manifest, near, refuse

LIMITS = Validate(
    min_images=60,
    min_decodable=0.9,
    max_leaked=0.01,
    max_near_leaked=0.01,
    max_duplicates=0.05,
    max_near_duplicates=0.1,
    classes=None,
    min_class_balance=0.2,
    min_pixel_std=2.0,
    min_entropy=0.2,
    reference=None,
    max_drift=0.05,
    data_docs=False,
)


def failed(frame, limits=LIMITS, reference=None):
    result = judge(
        frame, limits, None if reference is None else Reference(accepted(reference), "ab" * 32)
    ).result
    return result, {item["name"]: item for item in result["expectations"] if not item["success"]}


@pytest.mark.parametrize("labels", [("cat", "dog"), ()])
def test_a_good_manifest_passes_and_gives_the_same_result_twice(labels):
    result, broken = failed(manifest(labels=labels))
    assert (result["success"], result["worst"], broken) == (True, None, {})
    assert result == judge(manifest(labels=labels), LIMITS).result
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


def plant_unmeasured(frame):
    frame.loc[7, "entropy"] = pd.NA


CRITICAL = {
    plant_unmeasured: "images that lack a statistic",
    plant_few: "training images",
    plant_leak: "share of test images that stand in train too",
    plant_same_path: "no path stands twice",
    plant_no_test: "test images",
    plant_unknown_class: "test classes that train lacks",
    plant_half_labelled: "images that lack a label",
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
    frame.loc[range(10, 19), "label"] = frame.loc[5, "label"]


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


def plant_near_duplicates(frame):
    near(frame, (0, 1, 2, 3, 5, 6, 7, 8), (10, 11, 12, 13, 15))


def plant_near_leak(frame):
    near(frame, (3, 4), (9, 10), (20, 21))


def plant_two_labels(frame):
    frame.loc[5, "pixels_sha256"] = frame.loc[0, "pixels_sha256"]


def plant_constant(frame):
    frame.loc[6, "min"] = frame.loc[6, "max"]


def plant_low_entropy(frame):
    frame.loc[[11, 12], "entropy"] = 0.1


def plant_strip(frame):
    frame.loc[8, ["width", "height"]] = [8000, 2]


def plant_dark_set(frame):
    frame["mean"] = 1.5


WARNING = {
    plant_near_duplicates: (
        "share of images that nearly repeat another",
        "0.11",
        "11 images: '001.png', '002.png', '003.png' ...",
    ),
    plant_near_leak: (
        "share of test images that nearly stand in train too",
        "0.1",
        "2 images: '004.png', '009.png'",
    ),
    plant_two_labels: ("images whose pixels stand under two labels", "2", "2 images: '000.png', '005.png'"),
    plant_constant: ("images of one value throughout", "1", "1 image: '006.png'"),
    plant_low_entropy: ("entropy of pixels, bits", "2 of 100 differ", "2 images: '011.png', '012.png'"),
    plant_strip: ("images more than 8 times as long as wide", "1", "1 image: '008.png'"),
    plant_dark_set: ("mean pixel of all images", "1.5", None),
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


@pytest.mark.slow
@pytest.mark.parametrize("plant", WARNING, ids=lambda plant: plant.__name__)
def test_planted_faults_that_are_only_shown(plant):
    frame = manifest()
    plant(frame)
    result, broken = failed(frame)
    name, observed, files = WARNING[plant]
    assert list(broken) == [name] and result["worst"] == "warning" and not result["success"]
    text = line(broken[name])
    assert text.startswith(f"warning: {name}: {observed}, expected ")
    assert text.endswith(f"; {files}") if files else "image" not in text.partition("expected")[2]


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


def test_labels_are_held_to_those_that_must_be_there():
    limits = LIMITS.model_copy(update={"classes": ("cat", "fox")})
    broken = failed(manifest(), limits)[1]
    assert line(broken["classes of validate.classes that no image has"]).endswith("1, expected none; 'fox'")
    foreign = line(broken["classes that validate.classes lacks"])
    assert "; 'dog'; 50 images: '005.png', '006.png', '007.png' ..." in foreign
    assert {item["severity"] for item in broken.values()} == {"critical"}
    assert failed(manifest(), LIMITS.model_copy(update={"classes": ("dog", "cat")}))[0]["success"]
    assert failed(manifest(labels=()), limits)[0]["worst"] == "critical"  # no labels at all


def test_what_is_within_the_limits_is_counted_all_the_same():
    frame = manifest()
    near(frame, (10, 11))
    result = judge(frame, LIMITS)
    item = next(item for item in result.result["expectations"] if item["key"] == "near_duplicates")
    assert item["success"] and (item["unexpected_count"], item["examples"]) == (1, ["011.png"])
    assert result.result["observed"]["near_duplicates"] == 0.01


def test_repeats_are_shown_in_their_groups_and_leaks_as_pairs():
    frame = manifest()
    frame.loc[[11, 4], "pixels_sha256"] = frame.loc[0, "pixels_sha256"]
    near(frame, (20, 21, 22, 23, 25), (29, 30))
    verdict = judge(frame, LIMITS)

    def groups(key):
        return [list(rows["path"]) for rows in verdict.offenders[key].groups(accepted(frame), 12, 3)]

    assert groups("duplicates") == [["000.png", "004.png", "011.png"]]
    assert groups("near_duplicates") == [["020.png", "021.png", "022.png"], ["029.png", "030.png"]]
    assert groups("near_leaked") == [["029.png", "030.png"]]


def test_names_that_would_harm_a_terminal_are_escaped_and_long_ones_cut():
    frame = manifest()
    frame.loc[[3, 8], "path"] = ["a\n\x1b[31m\u202eb.png", "x" * 3000]
    frame.loc[[3, 8], "std"] = 0.0
    text = line(failed(frame)[1]["contrast (std of pixels)"])
    assert "'a\\n\\x1b[31m\\u202eb.png'" in text and text.isprintable() and len(text) < 300


def test_the_account_names_reasons_and_counts():
    frame = manifest()
    refuse(frame, [7, 8, 9])
    refuse(frame, [1], "not an image")
    lines = account(judge(frame, LIMITS).result["statistics"])
    assert lines[0] == "96 of 100 images kept: 77 to train on, 19 held out, 2 classes"
    assert lines[1] == "4 refused: 3 truncated, 1 not an image"
    assert lines[2].endswith(", 1 warn")
