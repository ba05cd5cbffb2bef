"""What every `VolumeStore` must do, on real directories here and the simulator's in tests/sim; and what only
directories have.
"""

import asyncio
import functools
import io
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from orion.adapters.volumes import LocalVolumes, local
from orion.model.errors import EngineError
from orion.ports.volumes import VolumeStore

KEY = "data.17"


class Bench(Protocol):
    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """To its end, in an event loop that fits."""

    def store(self) -> VolumeStore:
        """Of the same machine each time."""


def checked(check: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def run(self: object, bench: Bench) -> None:
        bench.run(functools.partial(check, self, bench))

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


class VolumeStoreContract:
    """Inherit, give a fixture `bench`, and all these are run."""

    @checked
    async def test_what_was_made_is_there_for_the_next_process(self, bench: Bench) -> None:
        assert await bench.store().data_of(KEY) is None
        await bench.store().make(KEY, "0123")
        assert await bench.store().data_of(KEY) == "0123"
        assert (await bench.store().path_of(KEY, "")).path.startswith("/")
        assert await bench.store().data_of("data.18") is None

    @checked
    async def test_what_is_removed_is_gone(self, bench: Bench) -> None:
        store = bench.store()
        await store.remove(KEY)
        await store.make(KEY, "0123")
        await store.remove(KEY)
        await store.remove(KEY)
        assert await store.data_of(KEY) is None
        with pytest.raises(EngineError):
            await store.path_of(KEY, "")
        await store.make(KEY, "4567")
        assert await store.data_of(KEY) == "4567"

    @checked
    async def test_a_path_of_the_machine_is_there_or_not(self, bench: Bench) -> None:
        assert await bench.store().has_path("/srv")
        assert not await bench.store().has_path("/srv/not-there")

    @checked
    async def test_it_has_a_size(self, bench: Bench) -> None:
        await bench.store().make(KEY, "0123")
        assert (await bench.store().size_of(KEY)).complete

    @checked
    async def test_a_copy_is_as_what_it_is_of(self, bench: Bench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        await store.make("copy.18", "old")  # which gives way
        await store.unpack("copy.18", "4567", store.pack(KEY))
        assert await store.data_of("copy.18") == "4567"
        assert await store.data_of(KEY) == "0123"

    @checked
    async def test_what_does_not_come_whole_changes_nothing(self, bench: Bench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        await store.make("copy.18", "old")

        async def broken_off() -> AsyncIterator[bytes]:
            async for piece in store.pack(KEY):
                yield piece[:600]
                return

        for key in ("copy.18", "new.19"):
            with pytest.raises(EngineError, match="did not come whole"):
                await store.unpack(key, "4567", broken_off())
        assert await store.data_of("copy.18") == "old"
        assert await store.data_of("new.19") is None

    @checked
    async def test_what_is_not_there_can_not_be_copied(self, bench: Bench) -> None:
        with pytest.raises(EngineError):
            await bench.store().unpack("copy.18", "4567", bench.store().pack(KEY))
        assert await bench.store().data_of("copy.18") is None


class DirectoryBench:
    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        asyncio.run(check())  # type: ignore[arg-type]

    def store(self) -> LocalVolumes:
        return LocalVolumes(self.root)


@pytest.fixture
def bench(tmp_path: Path) -> DirectoryBench:
    return DirectoryBench(tmp_path / "volumes")


class TestLocalVolumes(VolumeStoreContract):
    @checked
    async def test_a_part_of_a_volume_is_no_volume(self, bench: DirectoryBench) -> None:
        await bench.store().make(KEY, "0123")
        (bench.root / KEY / "data").rmdir()
        assert await bench.store().data_of(KEY) is None
        (bench.root / KEY / "data").mkdir()
        assert await bench.store().data_of(KEY) == "0123"
        (bench.root / KEY / "id").unlink()
        assert await bench.store().data_of(KEY) is None

    @checked
    async def test_nothing_is_made_where_something_is(self, bench: DirectoryBench) -> None:
        (bench.root / KEY / "data").mkdir(parents=True)
        await bench.store().make(KEY, "0123")  # as a process that died meanwhile leaves it
        await bench.store().remove(KEY)
        (bench.root / KEY / "data" / "rows").mkdir(parents=True)
        with pytest.raises(EngineError, match="is not empty, though its volume is new"):
            await bench.store().make(KEY, "0123")

    @checked
    async def test_a_subpath_stays_in_its_volume(self, bench: DirectoryBench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        inside = bench.root / KEY / "data"
        assert (await store.path_of(KEY, "")).empty
        (inside / "a" / "b").mkdir(parents=True)
        (inside / "out").symlink_to("/etc")
        (inside / "near").symlink_to("a/b")
        (inside / "file").write_text("x")
        assert not (await store.path_of(KEY, "")).empty
        assert (await store.path_of(KEY, "a/b")).path == str(inside / "a" / "b")
        assert (await store.path_of(KEY, "near")).path == str(inside / "a" / "b")
        for wrong in ("out", "../id", "a/../../id"):
            with pytest.raises(EngineError, match="leads out of its volume"):
                await store.path_of(KEY, wrong)
        for missing in ("c", "file"):
            with pytest.raises(EngineError, match="has no directory"):
                await store.path_of(KEY, missing)

    @checked
    async def test_a_size_is_that_of_all_files_as_far_as_they_are_counted(self, bench: DirectoryBench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        inside = bench.root / KEY / "data"
        for n in range(10):
            (inside / f"d{n}").mkdir()
            (inside / f"d{n}" / "f").write_bytes(b"x" * 100_000)
        (inside / "loop").symlink_to(".")
        size = await store.size_of(KEY)
        assert (size.files, size.complete) == (21, True)
        assert 1_000_000 <= size.bytes <= 1_300_000

    @checked
    async def test_what_the_machine_refuses_is_said_in_its_words(self, bench: DirectoryBench) -> None:
        bench.root.write_text("a file")
        with pytest.raises(EngineError, match=r"volumes of this node: (File exists|Not a directory)"):
            await bench.store().make(KEY, "0123")

    @checked
    async def test_owners_modes_links_and_what_else_files_have_go_along(self, bench: DirectoryBench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        inside = bench.root / KEY / "data"
        (inside / "deep" / "er").mkdir(parents=True)
        (inside / "deep" / "er" / "rows").write_bytes(os.urandom(3_000_000))
        (inside / "empty").write_text("")
        (inside / "a name\nin two lines").write_text("x")
        (inside / "to-rows").symlink_to("deep/er/rows")
        (inside / "to-nowhere").symlink_to("/nowhere")
        os.mkfifo(inside / "fifo")
        (inside / "deep").chmod(0o2750)
        (inside / "empty").chmod(0o4711)
        if os.geteuid() == 0:
            os.chown(inside / "deep", 70, 71)
            os.chown(inside / "to-rows", 70, 71, follow_symlinks=False)
            os.setxattr(inside / "empty", "user.word", b"\xff\x00x")
        os.utime(inside / "empty", (1_000_000_000, 1_000_000_000))
        await store.unpack("copy.18", "4567", store.pack(KEY))
        there = bench.root / "copy.18" / "data"
        assert shown(there) == shown(inside)
        assert [each.name for each in sorted(bench.root.iterdir())] == ["copy.18", KEY]

    @checked
    async def test_a_stream_that_leads_out_of_its_volume_is_refused(self, bench: DirectoryBench) -> None:
        outside = bench.root.parent / "outside"
        outside.mkdir()
        for names in (
            ["data", "data/../../x"],
            ["data", "/x"],
            ["x"],
            ["data", ("data/l", str(outside)), "data/l/x"],
        ):
            with pytest.raises(EngineError, match="leads out of it"):
                await bench.store().unpack(KEY, "0123", stream_of(names))
        assert list(outside.iterdir()) == []
        assert await bench.store().data_of(KEY) is None

    @checked
    async def test_what_a_former_process_left_half_done_is_removed(self, bench: DirectoryBench) -> None:
        await bench.store().tidy()
        await bench.store().make(KEY, "0123")
        for left in (".coming.data.17", ".leaving.data.9"):
            (bench.root / left / "data" / "deep").mkdir(parents=True)
        await bench.store().tidy()
        assert [each.name for each in bench.root.iterdir()] == [KEY]
        assert await bench.store().data_of(KEY) == "0123"

    @checked
    async def test_a_byte_that_is_another_is_found(self, bench: DirectoryBench) -> None:
        store = bench.store()
        await store.make(KEY, "0123")
        (bench.root / KEY / "data" / "rows").write_bytes(b"r" * 100_000)
        whole = b"".join([piece async for piece in store.pack(KEY)])
        at = whole.index(b"rrrr") + 50_000

        async def damaged() -> AsyncIterator[bytes]:
            yield whole[:at] + b"x" + whole[at + 1 :]

        with pytest.raises(EngineError, match="its digest is another"):
            await store.unpack("copy.18", "4567", damaged())
        assert await store.data_of("copy.18") is None


def shown(root: Path) -> list[object]:
    found: list[object] = []
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        link = path.readlink() if path.is_symlink() else None
        names = os.listxattr(path, follow_symlinks=False)
        xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
        seconds = None if link else int(about.st_mtime)
        found.append(
            (path.relative_to(root), about.st_mode, about.st_uid, about.st_gid, seconds, content, link, xattrs)
        )
    return found


async def stream_of(names: list[str | tuple[str, str]]) -> AsyncIterator[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for name in names:
            info = tarfile.TarInfo(name if isinstance(name, str) else name[0])
            info.type = tarfile.DIRTYPE if name == "data" else tarfile.REGTYPE
            info.uid, info.gid = os.geteuid(), os.getegid()
            if isinstance(name, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, name[1]
            tar.addfile(info)
    yield out.getvalue()


def test_no_more_files_are_counted_than_there_is_time_for(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_MAX_FILES", 5)
    store = LocalVolumes(tmp_path / "volumes")
    asyncio.run(store.make(KEY, "0123"))
    for n in range(10):
        (tmp_path / "volumes" / KEY / "data" / f"f{n}").write_text("x")
    size = asyncio.run(store.size_of(KEY))
    assert (size.files, size.complete) == (5, False)
    assert Path(asyncio.run(store.path_of(KEY, "")).path).is_absolute()
