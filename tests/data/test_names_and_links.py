"""Names in old zips, links in archives, clutter, and files that are no files."""

import struct
import tarfile
import zipfile
import zlib

import pytest

from gan.data.archives import members
from gan.data.clutter import clutter_of
from gan.data.zip_names import told
from gan.errors import UserError
from tests.data.image_files import LIMITS, archive, files, folder
from tests.stages.project import Project


def old_zip(path, names, extra=None):
    """A zip whose names are bytes without the UTF-8 flag."""
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo("ABC"[number] * len(name))
            if extra:
                info.extra = extra(name)
            file.writestr(info, files(1)["000.png"])
    content = path.read_bytes()
    for number, name in enumerate(names):
        content = content.replace(b"ABC"[number : number + 1] * len(name), name)
    path.write_bytes(content)
    return path


def names(path):
    return [member.path for member in members(path, LIMITS)]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("utf-8", ["café/1.png", "Zürich/12.png"]),
        ("cp932", ["犬/1.png", "猫/12.png", "鳥/123.png"]),
        ("gb18030", ["小狗/1.png", "小猫们/12.png", "向日葵/1.png"]),
        ("cp949", ["고양이/1.png", "강아지/12.png"]),
        ("cp866", ["кошка/1.png", "собака/12.png"]),
        ("cp1251", ["кошка/1.png", "собака/12.png"]),
        ("cp850", ["Käfer/1.png", "Vögel/12.png"]),
        ("cp1252", ["Käfer/1.png", "Vögel/12.png"]),
    ],
)
def test_names_without_the_flag_are_read_as_they_were_meant(tmp_path, page, expected):
    path = old_zip(tmp_path / "x.zip", [word.encode(page) for word in expected])
    assert names(path) == expected


def test_a_guess_at_a_code_page_is_told_and_can_be_corrected(tmp_path):
    korean = ["새/1.png", "차/12.png"]  # so short that they are Chinese words as well
    source = old_zip(tmp_path / "x.zip", [word.encode("cp949") for word in korean])
    project = Project(tmp_path / "p", source)
    output = project.run("download", "prepare")
    assert "names in x.zip: it does not say their code page; read as gb18030: '货', '瞒'" in output
    assert "if that is wrong, set data.zip_names (" in output and "cp949: '새'" in output
    project.set(data__zip_names="cp949")
    output = project.run("prepare")
    assert "'새', '차'" in output and "data.zip_names" not in output
    project.set(data__zip_names="cp932")
    assert "data.zip_names: cp932 does not fit the name" in project.fail("prepare")
    project.set(data__zip_names="klingon")
    assert "'klingon' is no code page; give auto or one such as cp932" in project.fail("prepare")


def test_names_that_say_their_encoding_are_no_guess(tmp_path):
    assert told(archive(tmp_path / "x.zip", files(1, "café{0}.png"))) is None
    source = old_zip(tmp_path / "y.zip", ["café/1.png".encode()])
    assert told(source) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["车/1.png", "香蕉/12.png", "测试/1.png"], "gb18030"),  # half-width katakana, if it were Japanese
        (["狗/1.png", "花/12.png"], "gb18030"),
        (["犬/1.png"], "cp932"),
        (["ネコ/1.png", "イヌ/12.png"], "cp932"),
    ],
)
def test_few_short_names_in_chinese_and_japanese(tmp_path, names, expected):
    path = old_zip(tmp_path / "x.zip", [name.encode(expected) for name in names])
    assert [member.path for member in members(path, LIMITS)] == names
    assert f"read as {expected}" in told(path)


def test_the_unicode_path_field_is_believed(tmp_path):
    meant = {b"kr\x8ba.png": "krąa.png"}

    def field(name):
        body = b"\1" + struct.pack("<I", zlib.crc32(name)) + meant[name].encode()
        return struct.pack("<HH", 0x7075, len(body)) + body

    assert names(old_zip(tmp_path / "x.zip", list(meant), field)) == list(meant.values())


def tar_with_links(path, kind, links):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files(2, "cat/{0}.png").items():
            (path.parent / "one").write_bytes(data)
            tar.add(path.parent / "one", name)
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    return path


HARD = {"dog/0.png": "cat/0.png", "dog/1.png": "cat/1.png", "dog/2.png": "dog/1.png"}
SOFT = {"dog/0.png": "../cat/0.png", "dog/1.png": "../cat/1.png", "dog/2.png": "1.png"}


@pytest.mark.parametrize(("kind", "links"), [(tarfile.LNKTYPE, HARD), (tarfile.SYMTYPE, SOFT)])
def test_links_in_a_tar_are_what_they_point_to(tmp_path, kind, links):
    path = tar_with_links(
        tmp_path / "x.tar.gz", kind, {**links, "cat/gone.png": "cat/9.png", "cat/a.png": "cat/a.png"}
    )
    assert sorted(member.path for member in members(path, LIMITS)) == sorted(
        ["cat/0.png", "cat/1.png", *links, "cat/gone.png", "cat/a.png"]
    )
    contents = {}
    for member in members(path, LIMITS):
        if member.path in links:
            contents[member.path] = member.content(LIMITS)
    first, second = files(2).values()
    assert contents == {"dog/0.png": first, "dog/1.png": second, "dog/2.png": second}
    project = Project(tmp_path / "p", path)
    output = project.run("download", "prepare")
    assert "5 of 7 images" in output and "2 classes from folders: 'cat', 'dog'" in output
    assert "refused 2  a broken link  'cat/a.png', 'cat/gone.png'" in output


def test_links_in_a_zip_are_what_they_point_to(tmp_path):
    path = archive(tmp_path / "x.zip", files(2, "cat/{0}.png"))
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("dog/0.png")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "../cat/1.png")
    contents = {member.path: member.content(LIMITS) for member in members(path, LIMITS)}
    assert contents["dog/0.png"] == contents["cat/1.png"] == files(2)["001.png"]


def test_deflate64_is_named_with_what_to_do(tmp_path):
    path = archive(tmp_path / "x.zip", files(2))
    content = bytearray(path.read_bytes())
    offset = content.index(b"PK\1\2")
    content[offset + 10 : offset + 12] = struct.pack("<H", 9)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"packed by Deflate64.*`7z x x.zip`.*give the folder"):
        names(path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"


def test_git_lfs_pointers_are_named(tmp_path):
    (tmp_path / "x.zip").write_bytes(POINTER)
    project = Project(tmp_path / "p", tmp_path / "x.zip")
    assert "x.zip: a Git LFS pointer, not the file; run `git lfs pull`" in project.fail("download")
    project.set(data__source=str(folder(tmp_path / "images", {"a.png": POINTER, "b.png": POINTER})))
    project.run("download")
    assert "2 a Git LFS pointer, not the file; run `git lfs pull`" in project.fail("prepare")


@pytest.mark.parametrize(
    "path",
    [
        *("@eaDir/a.jpg/SYNOPHOTO_THUMB_SM.jpg", "cat/@eaDir/a.jpg", "#recycle/a.jpg", "lost+found/a.jpg"),
        *(
            ".Trash-1000/files/a.jpg",
            "System Volume Information/a.jpg",
            "$RECYCLE.BIN/S-1/a.jpg",
            "Thumbs.db",
        ),
        *("__MACOSX/cat/._a.jpg", "cat/._a.jpg", ".thumbnails/a.jpg", "cat/.hidden.jpg", "@Recycle/a.jpg"),
    ],
)
def test_clutter(path):
    assert clutter_of(path)


@pytest.mark.parametrize(
    "path", ["cat/a.jpg", "thumbnails128x128/a.png", "recycling/a.jpg", "./a.jpg", "@home/a.jpg"]
)
def test_no_clutter(path):
    assert clutter_of(path) is None


def test_clutter_is_counted_in_folders_and_archives(tmp_path):
    content = {**files(4, "cat/{0}.png"), **files(4, "dog/{0}.png"), **files(3, "cat/@eaDir/{0}.png")}
    content["#recycle/old/a.png"] = content["cat/0.png"]
    for source in (folder(tmp_path / "nas", content), archive(tmp_path / "x.zip", content)):
        project = Project(tmp_path / f"project of {source.name}", source)
        output = project.run("download", "prepare")
        assert "4 files of other programs passed over" in output
        assert "passed over files of other programs: 3 @eaDir, 1 #recycle" in output
        assert "2 classes from folders: 'cat', 'dog'" in output and "8 of 8 images" in output


def hub(root):
    """A snapshot of the Hugging Face Hub's cache: links to blobs beside it."""
    folder(root / "blobs", {f"{number:064x}": data for number, data in enumerate(files(8).values())})
    for number in range(8):
        link = root / "snapshots" / "abc" / ("cat" if number % 2 else "dog") / f"{number}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../blobs/{number:064x}")
    return root / "snapshots" / "abc"


def test_links_out_of_a_folder_are_followed_unless_refused(tmp_path):
    source = hub(tmp_path / "hub")
    (source / "all").symlink_to("..")
    (source / "bird").symlink_to(folder(tmp_path / "elsewhere", files(3, "b{0}.png")))
    project = Project(tmp_path / "p", source)
    output = project.run("download", "prepare")
    assert "8 links were followed" in output and "1 left out" in output
    assert "3 classes from folders: 'bird', 'cat', 'dog'" in output
    project.set(data__links="refuse")
    error = project.fail("download")
    assert "a link out of the folder; set data.links: follow" in error
    project.set(data__links="follow")  # as it says
    project.run("download")
