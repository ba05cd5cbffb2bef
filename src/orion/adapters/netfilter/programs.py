"""A program that is run to its end: its input, its output within bounds, its complaints in words."""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Iterator

from orion.model.errors import OrionError

DEADLINE_S = 10.0
MAX_OUTPUT_BYTES = 16 << 20
MAX_COMPLAINT_BYTES = 64 << 10
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_PIECE_BYTES = 64 << 10

PACKAGES = {"nft": "nftables"}  # all others are of iptables
_FAULTS = (
    (
        re.compile(r"Operation not permitted|Permission denied|you must be root", re.IGNORECASE),
        "{program} may not change this machine's firewall ({said}): run orion as root, or with CAP_NET_ADMIN",
    ),
    (
        re.compile(r"Protocol not supported|Failed to initialize nft|can't initialize iptables"),
        "{program} finds no netfilter in the kernel ({said}): the overlay needs a kernel with nf_tables",
    ),
    (
        re.compile(r"JSON support not compiled-in"),
        "this nft can't show rules as JSON: install the package nftables of your distribution",
    ),
)


class NetfilterFailed(OrionError):
    """`detail` says what to do about it."""

    title = "The firewall failed"
    code = "firewall"


class Failed(NetfilterFailed):
    """`said` are the program's own words."""

    def __init__(self, program: str, said: str) -> None:
        self.said = said
        line = " ".join(said.split())[:300] or "without a word"
        words = next((words for pattern, words in _FAULTS if pattern.search(said)), "{program} failed: {said}")
        super().__init__(words.format(program=program, said=line))


async def run(program: str, *arguments: str, given: str = "") -> bytes:
    """Returns the output. Raises Failed where the program is not there, fails, says too much or takes too long, and
    leaves no process behind.
    """
    path = shutil.which(program, path=_PATH)
    if path is None:
        package = PACKAGES.get(program, "iptables")
        raise NetfilterFailed(f"{program} is not installed, which the overlay needs: install the package {package}")
    pipe = asyncio.subprocess.PIPE
    with _as_file(given) as stdin:
        try:
            process = await asyncio.create_subprocess_exec(
                path, *arguments, stdin=stdin, stdout=pipe, stderr=pipe, env={"LC_ALL": "C", "PATH": _PATH}
            )
        except OSError as error:
            raise NetfilterFailed(f"{path} can't be run: {error.strerror or error}") from error
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _finished(process, program)
    except TimeoutError:
        raise NetfilterFailed(f"{program} did not end within {DEADLINE_S:.0f} s and was killed") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[int]:
    """A file in memory, from its beginning on. Unlike a pipe it needs nobody who writes while the program runs."""
    descriptor = os.memfd_create("orion")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


async def _finished(process: asyncio.subprocess.Process, program: str) -> bytes:
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as group:
        complaint = group.create_task(_read(process.stderr, MAX_COMPLAINT_BYTES))
        output = group.create_task(_read(process.stdout, MAX_OUTPUT_BYTES))
    code, out = await process.wait(), output.result()
    if code != 0:
        raise Failed(program, complaint.result().decode(errors="replace"))
    if len(out) > MAX_OUTPUT_BYTES:
        raise NetfilterFailed(
            f"{program} shows more than {MAX_OUTPUT_BYTES >> 20} MiB of rules: they can't be judged"
        )
    return out


async def _read(stream: asyncio.StreamReader, most_bytes: int) -> bytes:
    """Reads to the end, and keeps a little more than `most_bytes`."""
    kept = bytearray()
    while piece := await stream.read(_PIECE_BYTES):
        if len(kept) <= most_bytes:
            kept += piece
    return bytes(kept)
