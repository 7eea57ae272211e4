import io
import tarfile
import threading
from dataclasses import replace

import pytest

from gan.data import archives
from gan.data.archive_members import Unreadable
from gan.data.archives import members
from gan.errors import UserError
from tests.data.image_files import LIMITS, archive, encoded, files, picture, tar_with_link, zip_with_link

KINDS = ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]


def read(path):
    return {member.path: member.content(LIMITS) for member in members(path) if member.is_image()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_whole_in_its_own_order(tmp_path, kind):
    content = {"z/b.png": b"1" * 70_000, "a.jpg": b"", "notes.txt": b"no image", "z/é\n.gif": b"x"}
    path = archive(tmp_path / f"x.{kind}", content)
    expected = {name: data for name, data in content.items() if name != "notes.txt"}
    assert list(read(path).items()) == list(expected.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_told_from_the_content(tmp_path, kind):
    path = archive(tmp_path / f"x.{kind}", files(2)).rename(tmp_path / "download.php")
    assert read(path) == files(2)


def test_images_are_found_by_their_first_bytes_too(tmp_path):
    content = {
        "a": encoded(picture(1)),
        "b": encoded(picture(2), "JPEG"),
        "c": b"BMW",
        "d": b"",
        "e": b"P7 x",
    }
    assert set(read(archive(tmp_path / "x.zip", content))) == {"a", "b"}
    assert set(read(archive(tmp_path / "x.tar", content))) == {"a", "b"}


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_anywhere_is_one_line(tmp_path, kind):
    whole = archive(tmp_path / f"x.{kind}", files(3)).read_bytes()
    end = len(whole)
    if kind == "tar":  # what follows the first block of zeros is padding, which nobody needs
        with tarfile.open(tmp_path / "x.tar") as tar:
            tar.getmembers()
            end = tar.offset
    for cut in (30, 600, end // 3, end // 2, end - 700, end - 1, end - 512 if kind == "tar" else end - 9):
        (tmp_path / f"cut.{kind}").write_bytes(whole[:cut])
        with pytest.raises(UserError, match=f"cut.{kind}: (truncated or damaged|not an archive)"):
            read(tmp_path / f"cut.{kind}")


def test_a_tar_cut_between_two_entries_is_noticed(tmp_path):
    path = archive(tmp_path / "x.tar", files(3))
    with tarfile.open(path) as tar:
        start = tar.getmembers()[2].offset
    path.write_bytes(path.read_bytes()[:start])
    with pytest.raises(UserError, match="truncated"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b" + b"?" * 50, encoded(picture(0))])
def test_no_archive_is_one_line(tmp_path, content):
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(
        UserError, match=r"x\.tar\.gz: (not an archive that can be read|truncated or damaged)"
    ):
        read(tmp_path / "x.tar.gz")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png"])
def test_entries_out_of_the_archive_are_refused(tmp_path, kind, name):
    path = archive(tmp_path / f"x.{kind}", {**files(1), name: b"x"})
    with pytest.raises(UserError, match=r"x\..*: entry .*evil.png points out of the archive"):
        read(path)


def test_backslashes_separate_folders_in_a_zip(tmp_path):
    assert list(read(archive(tmp_path / "x.zip", {"cats\\1.png": b"x"}))) == ["cats/1.png"]
    with pytest.raises(UserError, match="points out"):
        read(archive(tmp_path / "y.zip", {"..\\1.png": b"x"}))


@pytest.mark.parametrize("target", ["../../secret.png", "/etc/passwd"])
def test_links_out_of_the_archive_are_refused(tmp_path, target):
    makers = [
        lambda path: tar_with_link(path.with_suffix(".tar"), "a/link.png", target),
        lambda path: tar_with_link(path.with_suffix(".tar"), "link.png", target, tarfile.LNKTYPE),
        lambda path: zip_with_link(path.with_suffix(".zip"), "a/link.png", target),
    ]
    for make in makers:
        with pytest.raises(UserError, match=r"link .*link.png to .* points out of the archive"):
            read(make(tmp_path / "x"))


@pytest.mark.parametrize("make", [tar_with_link, zip_with_link])
def test_links_inside_are_what_they_point_to(tmp_path, make):
    path = make(tmp_path / f"x.{make.__name__[:3]}", "sub/link.png", "../000.png")
    content = {member.path: member.content(LIMITS) for member in members(path)}
    assert content["sub/link.png"] == content["000.png"]


def test_a_zip_with_a_password_is_one_line(tmp_path):
    path = archive(tmp_path / "x.zip", files(1))
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\1\2")
    content[6] |= 1
    content[central + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip: 000\.png needs a password"):
        read(path)


def test_one_damaged_entry_of_a_zip_does_not_stop_the_others(tmp_path):
    path = archive(tmp_path / "x.zip", files(3))
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF  # within the first entry's compressed bytes
    path.write_bytes(content)
    good = []
    for member in members(path):
        try:
            good.append(member.content(LIMITS))
        except Unreadable as reason:
            assert str(reason) == "damaged in the archive"
    assert good == list(files(3).values())[1:]


def test_no_file_over_the_limit_is_read(tmp_path):
    for kind in ("zip", "tar.gz"):
        for member in members(archive(tmp_path / f"x.{kind}", {"bomb.png": bytes(5_000_000)})):
            with pytest.raises(Unreadable, match="too many bytes"):
                member.content(replace(LIMITS, max_file_bytes=1_000_000))


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar.bz2"])
def test_a_tar_bomb_is_found_while_it_is_read(tmp_path, kind):
    path = archive(tmp_path / f"x.{kind}", {"a.png": b"x", "zeros.bin": bytes(60_000_000), "b.png": b"x"})
    with pytest.raises(
        UserError, match=r"data\.max_ratio: x\.tar.* unpacks to more than 200 times its \d+ b"
    ):
        list(members(path, LIMITS))
    assert len(list(members(path, replace(LIMITS, max_ratio=1e6)))) == 3
    with pytest.raises(UserError, match=r"data\.max_bytes: x\.tar.* has more than 50000000 bytes unpacked"):
        list(members(path, replace(LIMITS, max_ratio=1e6, max_bytes=50_000_000)))


def test_a_bomb_in_a_zip_is_refused_by_itself(tmp_path):
    path = archive(tmp_path / "x.zip", {"bomb.png": bytes(20_000_000), "a.png": b"x"})
    listed = members(path, LIMITS)
    with pytest.raises(Unreadable, match="packed too tightly"):
        next(listed).content(replace(LIMITS, max_file_bytes=10**9))
    assert next(listed).content(LIMITS) == b"x"
    with pytest.raises(UserError, match=r"data\.max_bytes: x\.zip has more than 1000 bytes unpacked"):
        list(members(path, replace(LIMITS, max_bytes=1000)))


def test_no_more_files_than_the_limit(tmp_path):
    with pytest.raises(UserError, match=r"data\.max_files: the source has more than 5 files"):
        list(members(archive(tmp_path / "x.tar", files(6)), replace(LIMITS, max_files=5)))


def test_a_reader_that_stops_leaves_no_thread(tmp_path):
    path = archive(tmp_path / "x.tar", {f"{i}.png": bytes(3_000_000) for i in range(20)})
    before = set(threading.enumerate())
    listed = members(path)
    next(listed)
    assert set(threading.enumerate()) > before
    listed.close()
    assert set(threading.enumerate()) <= before


def _told(kind: type[tarfile.TarInfo], block: bytes) -> tuple[object, ...]:
    try:
        info = kind.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        return type(error), str(error)
    return info.name, info.size, info.type, info.chksum


@pytest.mark.parametrize("name", ["a.png", "é" * 49 + ".p", "deep/" * 30 + "a.png", "folder/"])
def test_a_header_says_what_tarfile_reads_whatever_byte_is_changed(name):
    info = tarfile.TarInfo(name)
    info.size = 1234
    whole = info.tobuf(tarfile.USTAR_FORMAT)
    assert _told(archives._Header, whole) == _told(tarfile.TarInfo, whole)
    for offset in range(512):
        for value in (0, ord(" "), ord("/"), ord("7"), ord("8"), 0x80, 0xFF):
            block = bytearray(whole)
            block[offset] = value
            assert _told(archives._Header, bytes(block)) == _told(tarfile.TarInfo, bytes(block))
            block[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(block))[0]
            assert _told(archives._Header, bytes(block)) == _told(tarfile.TarInfo, bytes(block))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_length_and_sizes_of_many_blocks(tmp_path, form):
    content = {f"{'d/' * depth}é{depth}.png": encoded(picture(depth)) * 40 for depth in (0, 40, 90)}
    with tarfile.open(tmp_path / "x.tar", "w", format=form) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert read(tmp_path / "x.tar") == content
