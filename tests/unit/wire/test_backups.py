import random

import pytest

from orion.model.errors import Corrupt
from orion.wire.backups import FORMAT, MAGIC, About, BackupReader, encode_backup

ABOUT = About(FORMAT, 2**64 - 1, 1234, 7, 1_700_000_000_000, "node1", "0.1.0")
CHUNKS = [b"one" * 100, b"two", b"x" * 70_000]


def file(chunks=CHUNKS, about=ABOUT):
    return b"".join(encode_backup(about, chunks))


def read(data, cut=1000):
    reader = BackupReader()
    chunks = [chunk for at in range(0, len(data), cut) for chunk in reader.feed(data[at : at + cut])]
    return reader.finish(), chunks


@pytest.mark.parametrize("cut", [1, 7, 1_000, 1_000_000])
def test_a_backup_is_read_as_it_was_written_however_it_is_cut(cut):
    assert read(file(), cut) == (ABOUT, CHUNKS)
    assert read(file([]), cut) == (ABOUT, [])


def test_a_flipped_bit_anywhere_is_found():
    whole = file([b"one" * 100, b"two"])
    for at in range(len(whole)):
        for bit in (0, 3, 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            with pytest.raises(Corrupt):
                read(damaged)


def test_a_file_cut_anywhere_is_found():
    whole = file([b"one" * 100, b"two"])
    for size in range(len(whole)):
        with pytest.raises(Corrupt):
            read(whole[:size])


def test_an_error_names_the_byte():
    whole = file()
    third = whole.index(b"x" * 100)
    damaged = bytearray(whole)
    damaged[third + 5] ^= 1
    with pytest.raises(
        Corrupt, match=r"in the record at byte 414: chunk 2 of the snapshot at index 1234 is damaged"
    ):
        read(damaged)
    with pytest.raises(Corrupt, match=f"cut short at byte {third + 17:,}"):
        read(whole[: third + 17])
    with pytest.raises(Corrupt, match=f"damaged at byte {len(whole):,}: more follows its end"):
        read(whole + b"!")


def test_whole_records_out_of_place_are_damage():
    records = list(encode_backup(ABOUT, CHUNKS))
    for names in ([0, 2, 1, 3, 4], [0, 1, 3, 4], [0, 1, 1, 2, 3, 4], [0, 4], [0, 0, 1, 2, 3, 4]):
        with pytest.raises(Corrupt):
            read(b"".join(records[name] for name in names))
    other = list(encode_backup(ABOUT, [b"another", *CHUNKS[1:]]))
    with pytest.raises(Corrupt, match="digest"):
        read(b"".join([records[0], other[1], *records[2:]]))


@pytest.mark.parametrize("junk", [b"", b"O", MAGIC, b"hello, this is no backup", MAGIC + b"\xff" * 100])
def test_another_file_is_no_backup(junk):
    with pytest.raises(Corrupt):
        read(junk)


def test_noise_is_damage():
    for seed in range(50):
        with pytest.raises(Corrupt):
            read(MAGIC + random.Random(seed).randbytes(500))


def test_a_later_format_is_told_as_such():
    with pytest.raises(Corrupt, match="format 2; this version of orion knows 1"):
        read(file(about=About(2, *[getattr(ABOUT, name) for name in About.__struct_fields__[1:]])))
