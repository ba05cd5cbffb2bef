import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.model.errors import Corrupt
from orion.ports.log import Identity
from orion.raft.messages import Entry, HardState
from orion.wire import records

uint = st.integers(0, 2**64 - 1)
entries = st.builds(Entry, uint, uint, st.sampled_from([0, 1]), st.binary(max_size=40))


@given(entries)
def test_entries_come_back(entry):
    assert records.decode_entry(records.encode_entry(entry), entry.index) == entry


@given(uint, uint, st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_chunks_come_back(term, index, number, data):
    record = records.encode_chunk(term, index, number, data)
    assert records.decode_chunk(record, term, index, number) == data


@given(entries, st.data())
def test_a_flipped_bit_is_found(entry, data):
    record = bytearray(records.encode_entry(entry))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corrupt, match=f"log entry {entry.index} is damaged"):
        records.decode_entry(bytes(record), entry.index)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_damage(garbage):
    with pytest.raises(Corrupt):
        records.decode_entry(garbage, 5)
    with pytest.raises(Corrupt):
        records.decode_chunk(garbage, 1, 5, 0)
    with pytest.raises(Corrupt):
        records.decode_record(garbage, HardState, "the vote record")


def test_a_record_in_anothers_place_is_found():
    with pytest.raises(Corrupt, match="entry 7 is in its place"):
        records.decode_entry(records.encode_entry(Entry(1, 7)), 8)
    chunk = records.encode_chunk(1, 7, 0, b"x")
    for place in ((2, 7, 0), (1, 8, 0), (1, 7, 1)):
        with pytest.raises(Corrupt, match="in its place"):
            records.decode_chunk(chunk, *place)


def test_a_record_of_another_type_is_damage():
    record = records.encode_record(HardState(1, 2, 3))
    with pytest.raises(Corrupt, match="the node's identity is damaged"):
        records.decode_record(record, Identity, "the node's identity")
    assert records.decode_record(record, HardState, "it") == HardState(1, 2, 3)


def test_a_field_added_later_has_its_default_in_older_records():
    class Later(msgspec.Struct, array_like=True):
        term: int
        vote: int
        commit: int
        more: int = 9

    record = records.encode_record(HardState(1, 2, 3))
    assert records.decode_record(record, Later, "it") == Later(1, 2, 3, 9)
