import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.data.folder_names import is_half, is_serial, is_shard, is_wrapper, named_half
from gan.errors import UserError
from gan.params.fields import LayoutPatterns
from gan.prepare.layout.decision import decide
from gan.prepare.layout.label_tables import LabelFiles
from tests.data.layouts import CASES, classes, many


def decision(paths, files=None, layout="auto"):
    return decide(paths, [(None, None)] * len(paths), LabelFiles(dict(files or {})), layout)


def outcome(paths, files=None, layout="auto"):
    """Say in a few words what becomes of a layout."""
    try:
        decided = decision(paths, files, layout)
    except UserError as error:
        assert str(error).startswith("data.layout: ")
        return "asks for data.layout"
    retained = [index for index in range(len(paths)) if index not in decided.aside]
    counts = {half: sum(decided.halves[index] == half for index in retained) for half in ("train", "test")}
    split = "{train}/{test}".format(**counts) if all(counts.values()) else "held out by content"
    names = sorted({decided.labels[index] for index in retained if decided.labels[index] is not None})
    split += f"; {', '.join(names) or 'no labels'}"
    if names and all(decided.labels[index] is None for index in retained if decided.halves[index] == "test"):
        split += ", none in test" if counts["test"] else ""
    return split + (f"; {len(decided.aside)} aside" if decided.aside else "")


@pytest.mark.parametrize("case", CASES)
def test_public_layouts(case):
    paths, expected, files = CASES[case].paths, CASES[case].outcome, CASES[case].files
    assert outcome(paths, files) == expected


HALVES = {
    "train": "train2017 training_set seg_train trainA TrainSet train-images trainval train_val Training",
    "test": "test Test2015 testing test_set holdout hold-out testB test-dev TESTSET",
    "val": "val valid validation dev val2017 eval_data Validation-Set",
    "unlabeled": "unlabeled unlabelled2017 un-labeled unsup seg_pred",
}


@pytest.mark.parametrize(("half", "name"), [(half, name) for half in HALVES for name in HALVES[half].split()])
def test_names_of_halves(half, name):
    assert named_half(name).half == half and is_half(name)


@pytest.mark.parametrize(
    "name", ["cat", "trainer", "n01440764", "bullet_train", "contest", "testimony", "devon", "valley", "2017"]
)
def test_names_of_none(name):
    assert not is_half(name)


def test_names_of_wrappers_and_shards():
    assert all(map(is_wrapper, ["images", "JPEGImages", "my-images", "data_set"]))
    assert not any(map(is_wrapper, ["cat", "2017", "0", "frog"]))
    assert all(map(is_shard, ["part-1", "images_001", "Batch 12", "shard0003"]))
    assert not any(map(is_shard, ["cat1", "1", "part", "batch"]))
    assert is_serial("00000") and is_serial("0001") and not is_serial("1999") and not is_serial("012")


def test_the_account_names_counts_folders_and_classes():
    decided = decision(classes("training_set/") + classes("test_set/", count=2) + ["x.png"])
    assert decided.notes == [
        "halves: 8 train from training_set/, 4 test from test_set/",
        "labels: 2 classes from folders: 'cat', 'dog'",
    ]
    assert decided.aside == {12: "outside the halves' folders"}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("flat", "held out by content; no labels"),
        ("classes", "held out by content; test, train"),
        (LayoutPatterns(train="train/*", test="test/*"), "8/8; no labels"),
        (LayoutPatterns(test="*/dog/*", train="*/cat/*"), "8/8; no labels"),
        (LayoutPatterns(label="([^/]+)/[^/]+$"), "held out by content; cat, dog"),
        (LayoutPatterns(train="train/*", label="cat|dog"), "held out by content; cat, dog; 8 aside"),
    ],
)
def test_what_the_user_says_is_done(layout, expected):
    assert outcome(classes("train/") + classes("test/"), layout=layout) == expected


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (LayoutPatterns(train="nowhere/*"), "data.layout.train: 'nowhere/*' fits no image, such as 'a0.png'"),
        (LayoutPatterns(label="x(.)y"), "data.layout.label: 'x(.)y' fits no image"),
        ("classes", "the images lie in no folders of theirs; set auto or flat"),
    ],
)
def test_what_fits_nothing_is_one_line(layout, message):
    with pytest.raises(UserError) as error:
        decision(many("a{0}.png"), layout=layout)
    assert message in str(error.value)


def test_labels_are_one_whatever_their_unicode_form():
    decided = decision([*many("cafe\u0301/{0}.png"), *many("th\u00e9/{0}.png"), *many("caf\u00e9/{0}x.png")])
    assert set(decided.labels) == {"caf\u00e9", "th\u00e9"}


def test_a_label_file_that_cannot_be_read_is_told():
    decided = decision(
        many("{0}.png"), {"labels.json": b"{", "metadata.csv": b"file_name,text\n0.png,a\n1.png,b\n"}
    )
    assert decided.notes[2].startswith("labels.json was not read for labels: Expecting")
    assert "metadata.csv was not used" in decided.notes[3]


NAMES = st.sampled_from(
    ["train", "test", "val", "unlabeled", "cat", "dog", "images", "masks", "00000", "part1"]
)


@settings(deadline=None)
@given(st.lists(st.lists(NAMES, max_size=4), max_size=9))
def test_any_tree_is_decided_whole_or_asked_for(trees):
    paths = ["/".join([*folders, f"{index}.png"]) for index, folders in enumerate(trees)]
    try:
        decided = decision(paths)
    except UserError:
        return
    retained = [index for index in range(len(paths)) if index not in decided.aside]
    assert all((decided.halves[index] is None) == (decided.halves[retained[0]] is None) for index in retained)
    for half in ("train", "test", None):
        labels = [decided.labels[index] for index in retained if decided.halves[index] == half]
        assert all(labels) or not any(labels)
