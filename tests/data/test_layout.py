import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.data.layout import read_layout

CASES = {
    "flat": (["a.png", "b.png"], None, None),
    "flat in one folder": (["x/a.png", "x/b.png"], None, None),
    "classes": (["cat/a.png", "dog/b.png"], None, ["cat", "dog"]),
    "classes under a common folder": (["x/y/cat/a.png", "x/y/dog/b.png"], None, ["cat", "dog"]),
    "deeper folders belong to the class": (["cat/1/a.png", "dog/b.png"], None, ["cat", "dog"]),
    "halves": (["train/a.png", "test/b.png"], ["train", "test"], None),
    "halves and classes": (
        ["set/Train/cat/a.png", "set/Train/dog/b.png", "set/TEST/cat/c.png"],
        ["train", "train", "test"],
        ["cat", "dog", "cat"],
    ),
    "validation stands for test": (["training/a.png", "valid/b.png"], ["train", "test"], None),
    "validation joins train beside test": (
        ["train/a.png", "val/b.png", "test/c.png"],
        ["train", "train", "test"],
        None,
    ),
    "only train": (["x/train/cat/a.png", "x/train/dog/b.png"], ["train", "train"], ["cat", "dog"]),
    "only one half, flat": (["test/a.png", "test/b.png"], ["test", "test"], None),
    "a folder below the halves": (["train/images/a.png", "test/images/b.png"], ["train", "test"], None),
    "train is a class among others": (["train/a.png", "bus/b.png"], None, ["train", "bus"]),
    "nothing": ([], None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_layouts(case):
    paths, splits, labels = CASES[case]
    layout = read_layout(paths)
    assert (layout.splits, layout.labels, layout.note) == (splits, labels, None)


def test_images_outside_the_class_folders_leave_none_labelled_and_it_is_said():
    layout = read_layout(["cat/a.png", "dog/b.png", "c.png"])
    assert layout.labels is None and layout.note == "no labels: 1 of 3 images lie outside the 2 folders"


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["train", "test", "cat", "dog"]), max_size=4), max_size=6))
def test_any_tree_gives_all_or_none(trees):
    layout = read_layout(["/".join([*parts, "a.png"]) for parts in trees])
    for found in (layout.splits, layout.labels):
        assert found is None or (len(found) == len(trees) and all(found))
