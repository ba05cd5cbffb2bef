"""model/folders.py: folders as tars, held against those that tarfile and GNU tar make and read."""

import io
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.folders import Entry, EntryKind, FolderError, read_folder, write_folder

FILE, LINK, FOLDER = EntryKind.FILE, EntryKind.LINK, EntryKind.FOLDER
SITE = (
    Entry("css", FOLDER, 0o750),
    Entry("css/a b.css", FILE, 0o640, b"body {}"),
    Entry("current", LINK, 0o777, target="css"),
    Entry("deep", FOLDER, 0o755),
    Entry("deep/up", LINK, 0o777, target="../css/a b.css"),
    Entry("index.html", FILE, 0o644, b"x" * 513),
)


def tar_of(*members, form=tarfile.PAX_FORMAT, pax=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, kind, more in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            data = more.pop("data", b"")
            info.size = len(data)
            info.pax_headers = pax or {}
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def refused(tar):
    with pytest.raises(FolderError) as caught:
        read_folder(tar)
    return str(caught.value)


def test_there_and_back_in_whatever_order():
    assert read_folder(write_folder(SITE)) == SITE
    assert write_folder(reversed(SITE)) == write_folder(SITE)


def test_tarfile_reads_what_is_written():
    with tarfile.open(fileobj=io.BytesIO(write_folder(SITE))) as tar:
        found = [(info.name, info.type.decode(), info.mode, info.linkname) for info in tar]
        assert found == [(each.path, each.kind.value, each.mode, each.target) for each in SITE]
        assert tar.extractfile("index.html").read() == b"x" * 513


_PART = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=60)
_PATHS = st.lists(_PART.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=5).map("/".join)


@given(st.dictionaries(_PATHS, st.binary(max_size=1500), max_size=8))
def test_any_files_come_back_and_tarfile_agrees(files):
    files = {p: d for p, d in files.items() if not any(other.startswith(f"{p}/") for other in files)}
    tar = write_folder(Entry(path, content=data) for path, data in files.items())
    assert {each.path: each.content for each in read_folder(tar) if each.kind is FILE} == files
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        assert {i.name: read.extractfile(i).read() for i in read if i.isreg()} == files
    assert write_folder(read_folder(tar)) == tar


@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_what_gnu_tar_makes_is_read(tmp_path, form):
    long = "n" * 90
    (tmp_path / "a" / long).mkdir(parents=True)
    (tmp_path / "a" / long / "file").write_bytes(b"1" * 700)
    (tmp_path / "a" / "run").write_bytes(b"#!")
    (tmp_path / "a" / "run").chmod(0o755)
    (tmp_path / "a" / "link").symlink_to(f"{long}/file" if form != "v7" else "run")
    if form == "v7":
        shutil.rmtree(tmp_path / "a" / long)
    command = ["tar", "c", f"--format={form}", "-C", str(tmp_path), "."]
    tar = subprocess.run(command, capture_output=True, check=True).stdout
    found = {each.path: each for each in read_folder(tar)}
    assert found["a/run"].content == b"#!"
    assert found["a/run"].mode == 0o755
    if form != "v7":
        assert found[f"a/{long}/file"].content == b"1" * 700
        assert found["a/link"].target == f"{long}/file"


def test_what_git_archive_makes_is_read():
    """It begins with a header for all files, and its sums have seven digits."""
    about = block(
        at_156=b"g", at_124=b"%011o\0" % 52
    ) + b"52 comment=0123456789012345678901234567890123456789\n".ljust(512, b"\0")
    tar = about + block() + END
    for at in (0, 1024):
        digits = int(tar[at + 148 : at + 154], 8)
        tar = tar[: at + 148] + b"%07o\0" % digits + tar[at + 156 :]
    assert [entry.path for entry in read_folder(tar)] == ["a"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_very_long_names_are_read(form):
    path, target = "/".join("d" * 120 for _ in range(4)), "t" * 200
    tar = tar_of((path, b"0", {"data": b"1"}), ("l", b"2", {"linkname": target}), form=form)
    found = {each.path: each for each in read_folder(tar)}
    assert found[path].content == b"1"
    assert found["l"].target == target
    assert len(found) == 5, "the folders above it"


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (("../etc/passwd", b"0", {}), "leads out of the folder"),
        (("a/../../b", b"0", {}), "leads out of the folder"),
        (("a/..", b"5", {}), "leads out of the folder"),
        (("/etc/passwd", b"0", {}), "begins with /"),
        (("a\nb", b"0", {}), "control character"),
        (("n" * 256, b"0", {}), "too long"),
        (("/".join(["n" * 100] * 11), b"0", {}), "too long"),
        (("a", b"3", {"devmajor": 1}), "is a device"),
        (("a", b"4", {}), "is a device"),
        (("a", b"6", {}), "is a pipe"),
        (("a", b"1", {"linkname": "/etc/shadow"}), "is a hard link"),
        (("a", b"7", {}), "of a kind that no folder has"),
        (("a", b"S", {}), "holes"),
        (("a", b"2", {"linkname": "/etc"}), "leads out"),
        (("a", b"2", {"linkname": ".."}), "leads out"),
        (("d/a", b"2", {"linkname": "../../x"}), "leads out"),
        (("a", b"2", {"linkname": "d/../../x"}), "goes down and up"),
        (("a", b"2", {"linkname": "d/.."}), "goes down and up"),
        (("a", b"2", {"linkname": ""}), "no name"),
    ],
)
def test_what_is_no_part_of_a_folder_is_refused(member, words):
    name, kind, more = member
    assert words in refused(tar_of(("fine", b"0", {"data": b"1"}), (name, kind, dict(more))))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("a", b"0", {}), ("./a", b"0", {})], "'a' is in it twice"),
        ([("a", b"2", {"linkname": "."}), ("a/b", b"0", {})], "'a/b' is below 'a', which is no folder"),
        ([("a/b", b"0", {}), ("a", b"2", {"linkname": "."})], "'a/b' is below 'a', which is no folder"),
        ([("a", b"0", {}), ("a/b/c", b"0", {})], "'a/b/c' is below 'a', which is no folder"),
    ],
)
def test_what_contradicts_itself_is_refused(members, words):
    assert words in refused(tar_of(*members))


@pytest.mark.parametrize("pax", [{"GNU.sparse.major": "1"}, {"size": "9999999"}, {"GNU.sparse.realsize": "1"}])
def test_headers_that_change_what_a_file_is_are_refused(pax):
    assert "holes" in refused(tar_of(("a", b"0", {"data": b"1"}), pax=pax))


def checksummed(block):
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def block(**places):
    """A header with bytes put at `at_N`."""
    made = bytearray(tar_of(("a", b"0", {}))[:512])
    for place, data in places.items():
        at = int(place.removeprefix("at_"))
        made[at : at + len(data)] = data
    return checksummed(made)


END = bytes(1024)


@pytest.mark.parametrize(
    ("tar", "words"),
    [
        (b"", "no tar"),
        (b"<html>" * 200, "no tar"),
        (block(), "ends too early"),
        (block()[:-1], "no tar"),
        (b"b" + block()[1:] + END, "damaged"),
        (block(at_124=b"00000001000\0") + END[:512], "too early"),
        (block(at_124=b"77777777777\0") + END, "too early"),
        (block(at_124=b"\x80" + bytes(10) + b"\1") + END, "damaged, or larger"),
        (block(at_124=b"\xff" * 12) + END, "damaged, or larger"),  # -1: tarfile goes back and forth for ever
        (block(at_124=b"-0000000001\0") + END, "damaged, or larger"),
        (block(at_0=b"\xff") + END, "not UTF-8"),
        (block(at_156=b"x", at_124=b"00000000005\0") + b"9 a=b".ljust(512, b"\0") + END, "damaged"),
        (block(at_156=b"x", at_124=b"00000000005\0") + b"0 a=b".ljust(512, b"\0") + END, "damaged"),
        (block(at_156=b"x", at_124=b"00000000004\0") + b"-1 a".ljust(512, b"\0") + END, "damaged"),
    ],
)
def test_what_is_damaged_is_refused(tar, words):
    assert words in refused(tar)


def test_a_header_for_a_header_without_end_ends():
    """tarfile recurses once for each."""
    assert "too early" in refused(block(at_156=b"x") * 2_000)
    assert read_folder(block(at_156=b"x") * 2_000 + block() + END)


@given(st.binary(max_size=2_000), st.integers(0, 3_000))
def test_any_bytes_are_a_folder_or_refused(noise, at):
    good = write_folder(SITE)
    for tar in (noise, good[:at] + noise + good[at + len(noise) :], good[:at]):
        try:
            found = read_folder(tar)
        except FolderError:
            continue
        assert read_folder(write_folder(found)) == found


def test_few_bytes_can_not_mean_very_many_folders():
    members = [("/".join(f"{number:03}" + "a" * 497), b"0", {}) for number in range(10)]
    assert "more than 2,048 files and folders" in refused(tar_of(*members))
