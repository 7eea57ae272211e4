"""Layouts of public sets, as lists of paths; each with what is to come of it."""

import json
from dataclasses import dataclass, field


def many(pattern: str, count: int = 4, first: int = 0) -> list[str]:
    return [pattern.format(number) for number in range(first, first + count)]


def classes(folder: str, names: str = "cat dog", count: int = 4, kind: str = "png") -> list[str]:
    return [path for name in names.split() for path in many(f"{folder}{name}/{{0:03d}}.{kind}", count)]


@dataclass(frozen=True)
class Case:
    """Images, label files, and the outcome: `train/test`, classes, how many are set aside."""

    paths: list[str]
    outcome: str
    files: dict[str, bytes] = field(default_factory=dict)


def stylegan(paths: list[str]) -> bytes:
    return json.dumps({"labels": [[path, index % 3] for index, path in enumerate(paths)]}).encode()


def coco(half: str, several: bool = False) -> bytes:
    images = [{"id": n, "file_name": f"{n:012d}.jpg"} for n in range(8)]
    marks = [{"image_id": n, "category_id": n % 2} for n in range(8)]
    marks += [{"image_id": 0, "category_id": 1}] * several
    names = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    return json.dumps({"images": images, "annotations": marks, "categories": names}).encode()


def csv(header: str, rows: list[str]) -> bytes:
    return "\n".join([header, *rows]).encode()


COCO = [*many("train2017/{0:012d}.jpg", 8), *many("val2017/{0:012d}.jpg", 8)]
SHARDS = [f"{n // 10:05d}/img{n:08d}.png" for n in range(20)]
FLAT = many("train/{0:03d}.jpg", 8)
ROWS = [f"{n:03d}.jpg,{'cat' if n % 2 else 'dog'}" for n in range(8)]
CASES = {
    "flat": Case(many("{0}.png", 8), "held out by content; no labels"),
    "a folder for each class": Case(classes(""), "held out by content; cat, dog"),
    "the same below a wrapper": Case(classes("my set/data/"), "held out by content; cat, dog"),
    "`train/ test/`": Case(many("train/{0}.png") + many("test/{0}.png"), "4/4; no labels"),
    "`training_set/training_set/CLASS` (Kaggle)": Case(
        classes("training_set/training_set/") + classes("test_set/test_set/"), "8/8; cat, dog"
    ),
    "`seg_train/seg_train/CLASS seg_test seg_pred` (Kaggle)": Case(
        classes("seg_train/seg_train/") + classes("seg_test/seg_test/") + many("seg_pred/seg_pred/{0}.png"),
        "8/8; cat, dog; 4 aside",
    ),
    "`train2017/ val2017/` (COCO)": Case(COCO, "8/8; no labels"),
    "the same with annotations, one category an image": Case(
        COCO,
        "8/8; cat, dog",
        {f"annotations/instances_{half}2017.json": coco(half) for half in ("train", "val")},
    ),
    "the same with annotations, several an image": Case(
        COCO, "8/8; no labels", {"annotations/instances_train2017.json": coco("train", several=True)}
    ),
    "`train/ test/ unlabeled/` (STL-10)": Case(
        classes("train/") + classes("test/") + many("unlabeled/{0}.png", 9), "8/8; cat, dog; 9 aside"
    ),
    "`train/ val/ test/`": Case(
        classes("train/") + classes("val/") + classes("test/"), "8/8; cat, dog; 8 aside"
    ),
    "`train/ valid/`": Case(classes("Train/") + classes("valid/"), "8/8; cat, dog"),
    "`train/CLASS val/images` (tiny-imagenet)": Case(
        classes("train/") + many("val/images/{0}.png"), "8/4; cat, dog, none in test"
    ),
    "`train/CLASS` and test images stored flat": Case(
        classes("train/") + many("test/{0}.png"), "8/4; cat, dog, none in test"
    ),
    "`train/images test/images` and `masks`": Case(
        many("train/images/{0}.png") + many("train/masks/{0}.png") + many("test/images/{0}.png"),
        "4/4; no labels; 4 aside",
    ),
    "`images/train images/val` (YOLO)": Case(
        many("images/train/{0}.png") + many("images/val/{0}.png"), "4/4; no labels"
    ),
    "`trainA trainB testA testB` (CycleGAN)": Case(
        [path for half in ("train", "test") for side in "AB" for path in many(f"{half}{side}/{{0}}.jpg")],
        "8/8; A, B",
    ),
    "`CLASS/train CLASS/test`": Case(
        classes("", "cat/train dog/train") + classes("", "cat/test dog/test", 2), "8/4; cat, dog"
    ),
    "`asl_train/CLASS asl_test/CLASS`": Case(
        classes("asl_train/") + classes("asl_test/", count=2), "8/4; cat, dog"
    ),
    "halves, and one picture beside them": Case(
        ["preview.png", *classes("train/"), *classes("test/")], "8/8; cat, dog; 1 aside"
    ),
    "classes, and one picture beside them": Case(
        ["preview.png", *classes("")], "held out by content; cat, dog; 1 aside"
    ),
    "halves, and a copy of them within": Case(
        classes("xray/train/", count=20) + classes("xray/test/", count=20) + classes("xray/xray/train/"),
        "40/40; cat, dog; 8 aside",
    ),
    "halves, and more beside than in them": Case(
        classes("train/") + classes("test/") + classes("", "bus car", 40), "asks for data.layout"
    ),
    "classes, and more beside than in them": Case(classes("") + many("{0}.png", 30), "asks for data.layout"),
    "numbered shards with `dataset.json` (StyleGAN)": Case(
        SHARDS, "held out by content; 0, 1, 2", {"dataset.json": stylegan(SHARDS)}
    ),
    "numbered shards, no labels in `dataset.json`": Case(
        SHARDS, "held out by content; no labels", {"dataset.json": b'{"labels": null}'}
    ),
    "`images_001/images images_002/images` (NIH)": Case(
        many("images_001/images/{0}.png") + many("images_002/images/{0}.png", first=4),
        "held out by content; no labels",
    ),
    "`train/metadata.csv` (Hugging Face)": Case(
        FLAT, "held out by content; cat, dog", {"train/metadata.csv": csv("file_name,label", ROWS)}
    ),
    "`metadata.jsonl` with captions": Case(
        FLAT,
        "held out by content; no labels",
        {
            "train/metadata.jsonl": b"\n".join(
                b'{"file_name": "%03d.jpg", "text": "picture %d"}' % (n, n) for n in range(8)
            )
        },
    ),
    "`labels.csv` of names without extension (Kaggle's dogs)": Case(
        FLAT + many("test/t{0}.jpg"),
        "8/4; cat, dog, none in test",
        {"labels.csv": csv("id,breed", [row.replace(".jpg", "") for row in ROWS])},
    ),
    "a table with a column `split`": Case(
        many("img/{0:03d}.jpg", 8),
        "6/2; cat, dog",
        {
            "all.csv": csv(
                "path,label,split",
                [f"img/{row},{'val' if number > 5 else 'train'}" for number, row in enumerate(ROWS)],
            )
        },
    ),
    "`train` among classes": Case(classes("", "bus plane train"), "held out by content; bus, plane, train"),
    "class names that hold a half's word": Case(
        classes("", "bullet_train test_tube cat"), "held out by content; bullet_train, cat, test_tube"
    ),
}
