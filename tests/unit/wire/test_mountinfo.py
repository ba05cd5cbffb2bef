"""/proc/self/mountinfo, with the lines of proc(5) and the odd ones of real kernels."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orion.wire.mountinfo import at, below, parse

TABLE = rb"""36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 0:44 / /mnt2/a\040b rw shared:2 propagate_from:3 - tmpfs tmpfs rw
38 35 8:1 /v/data\134x//deleted /mnt2/\303\251\011y ro,nosuid - ext4 /dev/sda1 rw
39 35 8:1 /later /mnt2/\303\251\011y rw - ext4 /dev/sda1 rw
"""


def test_fields_and_escapes():
    first, blank, removed, later = parse(TABLE)
    assert first[:5] == (36, 35, "98:0", "/mnt1", "/mnt2")
    assert first.options == {"rw", "noatime"}
    assert (first.fs_type, first.source) == ("ext3", "/dev/root")
    assert blank.point == "/mnt2/a b", "optional fields are passed over"
    assert (removed.root, removed.point, removed.removed) == ("/v/data\\x", "/mnt2/é\ty", True)
    assert removed.readonly
    assert not later.removed
    assert not later.readonly


def test_what_is_below_and_what_is_at_a_place():
    mounts = parse(TABLE)
    assert [each.id for each in below(mounts, "/mnt2")] == [37, 38, 39]
    assert [each.id for each in below(mounts, "/mnt2/")] == [37, 38, 39]
    assert [each.id for each in below(mounts, "/mnt")] == [], "no part of a name"
    assert [each.id for each in at(mounts, "/mnt2/é\ty")] == [38, 39], "the one that is seen comes last"


def test_a_path_that_is_no_utf8_can_be_given_back():
    (mount,) = parse(b"1 0 8:1 / /a/\\377 rw - ext4 x rw")
    assert mount.point.encode("utf-8", "surrogateescape") == b"/a/\xff"


def test_the_table_of_this_machine():
    mounts = parse(Path("/proc/self/mountinfo").read_bytes())
    assert at(mounts, "/proc")[-1].fs_type == "proc"


@given(st.binary(max_size=300))
def test_no_line_is_too_odd(junk):
    parse(junk)
    assert len(parse(TABLE + junk)) >= 4
