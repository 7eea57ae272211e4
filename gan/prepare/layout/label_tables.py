"""Files of a source that say labels or halves: tables (csv, tsv, jsonl), StyleGAN's and COCO's JSON."""

import csv
import io
import json
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gan.data.archive_members import Limits, Member, Unreadable
from gan.data.folder_names import Half, named_half

_TABLES = (".csv", ".tsv", ".jsonl")
_JSON = re.compile(r"(dataset|annotations?|instances|labels?|metadata|coco)", re.IGNORECASE)
_MOST_FILES, _MOST_BYTES = 64, 256_000_000  # that are kept to be read
_LABEL_BYTES, _BESIDE_BYTES = 1000, 64_000  # of a .cls file, of an image's own .json file
_BESIDE = ("cls", "label", "class", "class_name", "label_name", "category")  # keys of the latter
_LABELS = ("label", "labels", "class", "class_name", "classname", "category", "label_name", "target", "y")
_HALVES = ("split", "subset", "partition", "set", "usage", "fold", "phase")
_MOST_DISTINCT = 0.5  # of the rows: beyond, a column holds captions or numbers, not labels

Row = dict[str, Any]


@dataclass
class LabelFiles:
    """The contents of such files, by path, gathered while a source is read."""

    contents: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what could not be read, for the user
    size: int = 0
    beside: dict[str, str] = field(default_factory=dict)  # a path without extension: its label

    def wants(self, path: str) -> bool:
        """Say whether a file is one that may name labels."""
        stem, suffix = posixpath.splitext(posixpath.basename(path))
        if suffix.lower() in (".cls", ".json"):  # WebDataset's: the label of the image of the same name
            return True
        if suffix.lower() in _TABLES:
            return "submission" not in stem.lower()
        return False

    def add(self, member: Member, limits: Limits) -> bytes | None:
        """Keep and return a file's bytes; one that is too much is noted."""
        stem, suffix = posixpath.splitext(member.path)
        of_set = suffix.lower() == ".json" and _JSON.search(posixpath.basename(stem))
        if suffix.lower() in (".cls", ".json") and not of_set:
            self._add_label(member, stem, suffix.lower() == ".json")
            return None
        if len(self.contents) >= _MOST_FILES or self.size + member.size > _MOST_BYTES:
            self.notes.append(f"{member.path} was not read for labels: too many or too large such files")
            return None
        try:
            content = member.content(limits)
        except Unreadable as reason:
            self.notes.append(f"{member.path} was not read for labels: {reason}")
            return None
        self.size += len(content)
        self.contents[member.path] = content
        return content

    def _add_label(self, member: Member, stem: str, is_json: bool) -> None:
        if member.size > (_BESIDE_BYTES if is_json else _LABEL_BYTES):
            return
        with suppress(Unreadable, ValueError, RecursionError):
            text = member.everything().decode("utf-8", "replace").strip()
            if is_json:
                content = json.loads(text)
                values = (
                    [content[key] for key in _BESIDE if key in content] if isinstance(content, dict) else []
                )
                text = str(values[0]) if values and type(values[0]) in (str, int) else ""
                if not text or stem in self.beside:
                    return
            self.beside[stem] = text

    def forget(self, path: str) -> None:
        """Drop a file that turned out to be something else."""
        self.size -= len(self.contents.pop(path))


@dataclass
class Named:
    """What label files say: by the image's number its label or half; from which files; what was not used."""

    labels: dict[int, str] = field(default_factory=dict)
    halves: dict[int, Half] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_label_files(files: LabelFiles, paths: Sequence[str], halves: Sequence[Half | None]) -> Named:
    """Read what label files say of the images ``paths``, whose halves are as their folders say."""
    named = Named(notes=list(files.notes))
    images = None
    for path in sorted(files.contents):
        images = images or _Images(paths, halves)
        try:
            rows, column = _rows(path, files.contents[path])
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error, RecursionError) as error:
            named.notes.append(f"{path} was not read for labels: {_short(error)}")
            continue
        if rows is None:
            named.notes.append(f"{path} names no label that each image has one of")
        elif rows:
            _take(named, path, rows, column, images)
    if files.beside:
        beside = {index: files.beside.get(_stem(path)) for index, path in enumerate(paths)}
        named.labels |= {index: label for index, label in beside.items() if label}
        named.files.append(f"{len(files.beside)} files beside the images (.cls, .json)")
    return named


def _stem(path: str) -> str:
    """Return a path up to the first dot of its name, which is WebDataset's key."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


class _Images:
    """Finds the image that a table's cell means: by path from the table's folder, by name, by stem."""

    def __init__(self, paths: Sequence[str], halves: Sequence[Half | None]) -> None:
        self.halves = halves
        self.paths = [unicodedata.normalize("NFC", path) for path in paths]
        self.by_path = {path: index for index, path in enumerate(self.paths)}
        self.by_name: dict[str, list[int]] = defaultdict(list)
        for index, path in enumerate(self.paths):
            name = posixpath.basename(path)
            for key in {name, posixpath.splitext(name)[0]}:
                self.by_name[key].append(index)

    def find(self, cell: str, folder: str, half: Half | None) -> int | None:
        """Return the number of the one image that a cell means, or None."""
        text = unicodedata.normalize("NFC", cell.strip().replace("\\", "/"))
        if not text:
            return None
        for path in (posixpath.normpath(posixpath.join(folder, text)), posixpath.normpath(text)):
            if path in self.by_path:
                return self.by_path[path]
        matches = self.by_name.get(posixpath.basename(text), [])
        if "/" in text:
            matches = [index for index in matches if self._ends(index, text)]
        if len(matches) > 1 and half:
            matches = [index for index in matches if self.halves[index] == half]
        if len(matches) > 1:
            matches = [index for index in matches if self.paths[index].startswith(f"{folder}/")]
        return matches[0] if len(matches) == 1 else None

    def _ends(self, index: int, text: str) -> bool:
        path = f"/{self.paths[index]}"
        return path.endswith(f"/{text}") or posixpath.splitext(path)[0].endswith(f"/{text}")


def _take(labels_read: Named, path: str, rows: list[Row], column: str | None, images: _Images) -> None:
    folder, stem = posixpath.dirname(path), posixpath.splitext(posixpath.basename(path))[0]
    named = named_half(stem)
    half = named.half if named else None

    def find_images(name: str, of: Iterable[Row]) -> list[int | None]:
        return [images.find(str(row.get(name) or ""), folder, half) for row in of]

    if column is None:
        best = max(
            rows[0], key=lambda name: sum(index is not None for index in find_images(name, rows[:200]))
        )
        column = best
    indices = find_images(column, rows)
    count = sum(index is not None for index in indices)
    if count * 2 < len(rows):
        if count:
            labels_read.notes.append(f"{path} was not used: {count} of its {len(rows)} rows name an image")
        return
    label, split = _label_column(rows, column), _named_column(rows, _HALVES)
    if label is None and split is None:
        others = ", ".join(map(str, [name for name in rows[0] if name != column][:4]))
        labels_read.notes.append(f"{path} was not used: no column of labels (it has {others or 'no other'})")
        return
    if label is not None and (why := _unfit(rows, label)):
        labels_read.notes.append(f"{path} was not used: {why}")
        return
    labels_read.files.append(path)
    twice = 0
    for index, row in zip(indices, rows, strict=True):
        if index is None:
            continue
        if label is not None and row.get(label) not in (None, ""):
            text = _label_text(row[label])
            twice += labels_read.labels.setdefault(index, text) != text
        if split is not None and (name := named_half(str(row.get(split) or "").removeprefix("Public"))):
            labels_read.halves[index] = name.half
    if twice:
        labels_read.notes.append(f"{path}: {twice} images have a second label, which was not used")


def _label_column(rows: list[Row], column: str) -> str | None:
    if named := _named_column(rows, _LABELS):
        return named
    split = _named_column(rows, _HALVES)
    others = [name for name in rows[0] if name not in (column, split, None)]
    return others[0] if len(others) == 1 else None


def _named_column(rows: list[Row], wanted: Sequence[str]) -> str | None:
    lower = {str(name).strip().lower(): name for name in rows[0] if name is not None}
    return next((lower[name] for name in wanted if name in lower), None)


def _unfit(rows: list[Row], label: str) -> str | None:
    values = [row.get(label) for row in rows]
    if any(isinstance(value, list | dict) for value in values):
        return f"{label} holds lists, several labels an image"
    distinct = len({str(value) for value in values})
    if distinct > max(2, _MOST_DISTINCT * len(rows)):
        return f"{label} has {distinct} values in {len(rows)} rows, more like captions than labels"
    return None


def _label_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value).strip())


def _rows(path: str, content: bytes) -> tuple[list[Row] | None, str | None]:
    """Return a file's rows and the column that names the image, if known; no rows: it is of no concern."""
    text = _decoded(content)
    suffix = posixpath.splitext(path)[1].lower()
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        if any(not isinstance(row, dict) for row in rows):
            raise ValueError("its lines are not objects")
        return rows, "file_name" if rows and "file_name" in rows[0] else None
    if suffix != ".json":
        return _table(text)
    parsed = json.loads(text)
    if not isinstance(parsed, dict):
        return [], None
    if isinstance(parsed.get("images"), list) and isinstance(parsed.get("annotations"), list):
        return _coco(parsed), "image"
    if "labels" not in parsed:
        return [], None
    labels = parsed["labels"]
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not pairs or any(isinstance(value, list) for _, value in pairs):
        return None, None  # StyleGAN's own way to say that there are none, or vectors
    return [{"image": str(name), "label": value} for name, value in pairs], "image"


def _table(text: str) -> tuple[list[Row], str | None]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    rows = [row for row in rows if any(row.values())]
    if not rows or len(rows[0]) < 2 or len(rows[0]) > 200:
        return [], None
    column = next((name for name in rows[0] if name == "file_name" or name == "filename"), None)
    return rows, column


def _coco(content: dict[str, Any]) -> list[Row] | None:
    """Return COCO's images with their category, where each has annotations of one only."""
    names = {category["id"]: str(category["name"]) for category in content.get("categories", [])}
    of_image: dict[Any, set[str]] = defaultdict(set)
    for annotation in content["annotations"]:
        if "category_id" in annotation:
            of_image[annotation["image_id"]].add(names[annotation["category_id"]])
    if not of_image or any(len(categories) > 1 for categories in of_image.values()):
        return None
    return [
        {"image": image["file_name"], "label": next(iter(of_image[image["id"]]), None)}
        for image in content["images"]
    ]


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("cp1252", "replace")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
