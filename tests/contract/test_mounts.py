"""The Mounts port on real mounts of this machine."""

import asyncio
import os
import stat
import subprocess

import pytest

from orion.adapters.mounts import LinuxMounts
from orion.ports.mounts import MountFailed
from support.csi import unmount_all

pytestmark = pytest.mark.root


def bind(source, target):
    for each in (source, target):
        each.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", source, target], check=True)


def points(folder):
    return asyncio.run(LinuxMounts().points_below(str(folder)))


def unmount(point, **how):
    asyncio.run(LinuxMounts().unmount(str(point), **how))


def test_binds_inside_one_file_system_are_seen_whatever_their_names(folder):
    names = ["a b", "tab\there", "back\\slash", "größe", "a#b"]
    for name in names:
        bind(folder / "data", folder / "in" / name)
        assert not os.path.ismount(folder / "in" / name), "what Python has for it does not see them"
    assert sorted(points(folder / "in")) == sorted(str(folder / "in" / name) for name in names)
    assert points(folder / "i") == []
    for name in names:
        unmount(folder / "in" / name)


def test_a_way_there_by_a_symbolic_link_is_the_same_place(folder):
    bind(folder / "data", folder / "real" / "a")
    (folder / "link").symlink_to(folder / "real")
    assert points(folder / "link") == [str(folder / "link" / "a")]
    unmount(folder / "link" / "a")
    assert points(folder / "real") == []


def test_all_that_is_mounted_at_a_place_is_taken_away(folder):
    for source in ("one", "two", "three"):
        bind(folder / source, folder / "at")
    unmount(folder / "at")
    assert points(folder) == []
    unmount(folder / "at")
    unmount(folder / "never was")


def test_a_symbolic_link_is_never_followed_to_a_mount(folder):
    bind(folder / "data", folder / "foreign")
    (folder / "mine").symlink_to(folder / "foreign")
    unmount(folder / "mine")
    assert points(folder) == [str(folder / "foreign")]
    unmount(folder / "foreign")


def test_one_that_is_in_use_stays_unless_it_is_done_lazily(folder):
    bind(folder / "data", folder / "at")
    with (folder / "at" / "open").open("w") as file:
        with pytest.raises(MountFailed, match="end what uses it") as raised:
            unmount(folder / "at")
        assert raised.value.busy
        unmount(folder / "at", lazy=True)
        assert points(folder) == []
        file.write("who has it open keeps it")
    assert (folder / "data" / "open").read_text() == "who has it open keeps it"


def test_devices_of_block_volumes_count_and_those_in_users_data_do_not(folder):
    device = os.makedev(7, 200)
    (folder / "in").mkdir()
    os.mknod(folder / "in" / "disk", stat.S_IFBLK | 0o600, device)
    os.mknod(folder / "in-data", stat.S_IFBLK | 0o600, device)
    bind(folder / "data", folder / "in" / "mounted")
    os.mknod(folder / "data" / "users", stat.S_IFBLK | 0o600, device)
    assert sorted(points(folder / "in")) == [str(folder / "in" / "disk"), str(folder / "in" / "mounted")]
    unmount(folder / "in" / "disk")
    assert not (folder / "in" / "disk").exists()
    unmount(folder / "in" / "mounted")


def test_directories_are_removed_only_when_they_are_empty(folder):
    async def test():
        mounts = LinuxMounts()
        await mounts.make_directory(str(folder / "a" / "b"))
        await mounts.make_directory(str(folder / "a" / "b"))
        (folder / "a" / "b" / "row").write_text("1")
        with pytest.raises(MountFailed, match="not empty"):
            await mounts.remove_directory(str(folder / "a" / "b"))
        assert (folder / "a" / "b" / "row").read_text() == "1"
        (folder / "a" / "b" / "row").unlink()
        for _ in range(2):
            await mounts.remove_directory(str(folder / "a" / "b"))

    asyncio.run(test())
    unmount_all(folder)


def test_this_boot_has_a_name():
    assert len(LinuxMounts().boot_id()) == 36
