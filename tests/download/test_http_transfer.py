"""Downloads by HTTP from a server that cuts, lies, changes its mind and is busy."""

import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gan.download.mirrors import Checksum, bring, way
from gan.download.partial_files import Partial
from gan.download.retry import Request
from gan.errors import Unreachable, UserError
from tests.data.web_site import Site, serving

CONTENT = os.urandom(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("gan.download.retry.FIRST_WAIT", 0.001)


@pytest.fixture
def site():
    with serving(Site({"x.zip": CONTENT})) as server:
        yield server


def fetched(site: Site, folder: Path, sha256: str | None = None) -> Partial:
    folder.mkdir(exist_ok=True)
    url = f"{site.url}/x.zip"
    checksums = [Checksum("sha256", sha256, "data.sha256 is")] if sha256 else []
    return bring("x.zip", [way(url, "x.zip")], checksums, Request(url, url, "check it", folder))


@pytest.mark.parametrize("version", ["ETag", "Last-Modified"])
def test_a_cut_download_goes_on_where_it_was_cut(tmp_path, site, version):
    site.version = version
    site.days = [{"cut": 300_000}, {"cut": 500_000}]
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert site.ranges_asked() == [None, "bytes=300000-", "bytes=800000-"]
    assert all(asked["If-Range"] for asked in site.asked[1:])


@pytest.mark.parametrize("change", [{"version": "weak"}, {"version": ""}, {"ranges": False}])
def test_without_ranges_or_a_version_it_starts_again(tmp_path, site, change):
    for name, value in change.items():
        setattr(site, name, value)
    site.days = [{"cut": 300_000}]
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert len(site.asked) == 2
    assert (site.ranges_asked()[1] is None) == site.ranges


def test_a_file_that_changed_meanwhile_starts_again(tmp_path, site):
    other = os.urandom(900_000)

    class Changing(dict):
        def get(self, name, default=None):
            return CONTENT if len(site.asked) == 1 else other

    site.files = Changing()
    site.days = [{"cut": 950_000}]  # more than the new file has
    assert fetched(site, tmp_path / "d").path.read_bytes() == other


def test_a_part_of_an_earlier_run_is_used_and_a_stranger_is_not(tmp_path, site):
    url = f"{site.url}/x.zip"
    for address, expected in ((url, "bytes=400000-"), ("http://elsewhere/x.zip", None)):
        site.asked.clear()
        partial_file = Partial(tmp_path / "d" / "x.zip")
        partial_file.begin(address, site.versions(CONTENT)["ETag"])
        partial_file.path.write_bytes(CONTENT[:400_000])
        assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
        assert site.ranges_asked() == [expected]


def test_a_whole_file_of_a_run_killed_after_its_last_byte_is_not_sent_again(tmp_path, site):
    fetched(site, tmp_path / "d")
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert site.ranges_asked() == [None, "bytes=1000000-"]
    site.files["x.zip"] = CONTENT[:-9]
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT[:-9]


def test_what_lies_in_data_too_is_not_written_to(tmp_path, site):
    """A run killed between its last two steps leaves one file under two names."""
    partial_file = fetched(site, tmp_path / "d")
    partial_file.give(tmp_path / "data.zip")
    assert partial_file.path.stat().st_nlink == 2
    site.files["x.zip"] = CONTENT + b"more"
    tag = site.versions(CONTENT)  # a server that is wrong about the version
    site.versions = lambda _: tag
    fetched(site, tmp_path / "d")
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_part_whose_bytes_are_wrong_is_found_by_the_checksum_and_fetched_anew(tmp_path, site, capsys):
    partial_file = Partial(tmp_path / "d" / "x.zip")
    partial_file.begin(f"{site.url}/x.zip", site.versions(CONTENT)["ETag"])
    partial_file.path.write_bytes(bytes(400_000))
    assert fetched(site, tmp_path / "d", SHA256).path.read_bytes() == CONTENT
    assert site.ranges_asked() == ["bytes=400000-", None]
    assert f"data.sha256 is {SHA256}; all of it again" in capsys.readouterr().err


def test_wrong_bytes_are_named_and_removed(tmp_path, site):
    site.files["x.zip"] = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    checksum = hashlib.sha256(site.files["x.zip"]).hexdigest()
    with pytest.raises(UserError) as caught:
        fetched(site, tmp_path / "d", SHA256)
    assert f"sha256 of its 1000000 bytes is {checksum}, data.sha256 is {SHA256}" in str(caught.value)
    assert not isinstance(caught.value, Unreachable)  # the same again would be as wrong
    assert len(site.asked) == 1
    assert list((tmp_path / "d").iterdir()) == []


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_tried_again(tmp_path, site, status):
    site.days = [{"status": status}] * 3
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert len(site.asked) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_does_not_pass_is_asked_once(tmp_path, site, status):
    site.days = [{"status": status}] * 9
    with pytest.raises(UserError, match=f"{status} Client Error") as caught:
        fetched(site, tmp_path / "d")
    assert not isinstance(caught.value, Unreachable)
    assert len(site.asked) == 1


def test_patience_ends_and_what_came_is_kept_for_the_next_run(tmp_path, site):
    site.days = [{"cut": 300_000}] + [{"cut": 0}] * 4
    with pytest.raises(Unreachable, match="no download from"):
        fetched(site, tmp_path / "d")
    assert len(site.asked) == 1 + 3  # the first brought something: three more in vain make four in a row
    site.asked.clear()
    site.days.clear()
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert site.ranges_asked() == ["bytes=300000-"]


def test_attempts_that_get_further_do_not_count(tmp_path, site):
    site.days = [{"cut": 50_000}] * 19
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    assert len(site.asked) == 20


def test_a_length_that_is_not_kept_is_no_whole_file(tmp_path, site):
    site.ranges = False
    site.days = [{"length": len(CONTENT) + 5, "headers": {"Connection": "close"}}] * 9
    with pytest.raises(Unreachable, match="1000000 bytes read, 5 more expected"):
        fetched(site, tmp_path / "d")


def test_a_busy_server_says_how_long_to_wait(tmp_path, site, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", lambda seconds: waits.append(seconds) if seconds else None)
    site.days = [
        {"status": 503, "headers": {"Retry-After": "7"}},
        {"status": 503, "headers": {"Retry-After": "9999"}},
    ]
    fetched(site, tmp_path / "d")
    assert waits == [7, 60]


def test_waits_double_and_differ(tmp_path, site, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("gan.download.retry.FIRST_WAIT", 1.0)
    monkeypatch.setattr("time.sleep", lambda seconds: waits.append(seconds) if seconds else None)
    for _ in range(2):
        site.days = [{"status": 503}] * 3
        fetched(site, tmp_path / f"d{_}")
    for wait, mean in zip(waits, [1, 2, 4] * 2, strict=True):
        assert 0.5 * mean <= wait <= 1.5 * mean
    assert waits[:3] != waits[3:]


def test_keys_from_netrc_are_sent_and_not_to_where_it_redirects(tmp_path, site, monkeypatch):
    site.users = "Basic dXNlcjpzZWNyZXQ="
    with pytest.raises(UserError, match="401 Client Error"):
        fetched(site, tmp_path / "d")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetched(site, tmp_path / "d").path.read_bytes() == CONTENT
    elsewhere = {"Location": site.url.replace("127.0.0.1", "localhost") + "/x.zip"}
    site.users, site.days = "", [{"status": 302, "headers": elsewhere}]
    site.asked.clear()
    fetched(site, tmp_path / "e")
    assert ["Authorization" in asked for asked in site.asked] == [True, False]


def test_no_secret_of_an_address_is_said(tmp_path, site, capsys):
    url = site.url.replace("//", "//user:pass@") + "/x.zip?token=secret"
    site.days = [{"status": 503}, {"cut": 5}, {"status": 403}]
    request = Request(url, url, "check it", tmp_path)
    with pytest.raises(UserError) as caught:
        bring("x.zip", [way(url, "x.zip")], [], request)
    nowhere = url.replace(site.url.rpartition(":")[2], "9")
    with pytest.raises(UserError) as refused:
        bring("x.zip", [way(nowhere, "x.zip")], [], replace(request, address=nowhere))
    output = f"{capsys.readouterr().err} {caught.value} {refused.value}"
    assert "127.0.0.1:9/x.zip" in output
    assert "trying again" in output
    assert "secret" not in output
    assert "user" not in output
    assert "pass@" not in output


@contextmanager
def no_room(size: int):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_our_own_and_leaves_nothing(tmp_path, site):
    with no_room(200_000), pytest.raises(OSError, match="File too large") as caught:
        fetched(site, tmp_path / "d")
    assert str(caught.value.filename).startswith(str(tmp_path / "d"))
    assert len(site.asked) == 1  # not tried again: no waiting makes room
    assert list((tmp_path / "d").iterdir()) == []
