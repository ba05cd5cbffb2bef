"""The checker itself: histories known to be good or bad, and every small history against a search without wit."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.linearizable import Operation, Register, check


def op(kind, begin, end, outcome="ok", value=None, version=None, if_version=None, client=0, key="k"):
    return Operation(
        client=client,
        kind=kind,
        key=key,
        begin=begin,
        end=end,
        outcome=outcome,
        value=value,
        version=version,
        if_version=if_version,
    )


def put(begin, end, value, version, if_version=None):
    return op("put", begin, end, "ok", value, version, if_version)


def lost_put(begin, value, if_version=None):
    return op("put", begin, None, "unknown", value, None, if_version)


def get(begin, end, value, version):
    return op("get", begin, end, "ok", value, version)


def missing(begin, end):
    return op("get", begin, end, "not found")


def verdict(*history):
    (found,) = check(history)
    return found.explained


GOOD = {
    "nothing": [missing(0, 1)],
    "in turn": [put(0, 1, b"a", 5), get(2, 3, b"a", 5), put(4, 5, b"b", 9), get(6, 7, b"b", 9)],
    "a read during a write sees the one or the other": [
        put(0, 1, b"a", 5),
        put(2, 9, b"b", 6),
        get(3, 4, b"a", 5),
        get(5, 6, b"b", 6),
    ],
    "writes that overlap in any order": [put(0, 9, b"a", 7), put(1, 8, b"b", 6), get(10, 11, b"a", 7)],
    "compare and set": [put(0, 1, b"a", 5, 0), put(2, 3, b"b", 6, 5), op("put", 4, 5, "conflict", b"c", None, 5)],
    "of two that compare one is refused": [
        put(0, 1, b"a", 5),
        put(2, 6, b"b", 6, 5),
        op("put", 3, 7, "conflict", b"c", None, 5),
    ],
    "delete and create": [
        put(0, 1, b"a", 5),
        op("delete", 2, 3, version=5),
        missing(4, 5),
        op("delete", 6, 7, "not found"),
        put(8, 9, b"a", 11, 0),
    ],
    "a list shows the version": [put(0, 1, b"a", 5), op("seen", 2, 3, version=5)],
    "an unanswered put happens late": [
        put(0, 1, b"a", 5),
        lost_put(2, b"b"),
        get(3, 4, b"a", 5),
        get(5, 6, b"b", 8),
    ],
    "an unanswered put never happens": [put(0, 1, b"a", 5), lost_put(2, b"b"), get(3, 4, b"a", 5)],
    "an unanswered put is overwritten unseen": [lost_put(0, b"a"), put(1, 2, b"b", 9), get(3, 4, b"b", 9)],
    "an unanswered put explains a refusal": [
        put(0, 1, b"a", 5),
        lost_put(2, b"b"),
        op("put", 3, 4, "conflict", b"c", None, 5),
    ],
    "a compare with what an unanswered put made": [lost_put(0, b"a"), put(1, 2, b"b", 9, 8), get(3, 4, b"b", 9)],
    "an unanswered compare and set": [put(0, 1, b"a", 5), lost_put(2, b"b", 5), get(3, 4, b"b", 7)],
    "an unanswered delete": [
        put(0, 1, b"a", 5),
        op("delete", 2, None, "unknown"),
        get(3, 4, b"a", 5),
        missing(5, 6),
    ],
    "two of them, one seen after the other": [
        lost_put(0, b"a"),
        lost_put(1, b"b"),
        get(2, 3, b"b", 4),
        get(4, 5, b"a", 6),
    ],
}

BAD = {
    "a stale read": [put(0, 1, b"a", 5), put(2, 3, b"b", 6), get(4, 5, b"a", 5)],
    "a lost write": [put(0, 1, b"a", 5), missing(2, 3)],
    "a read of what nobody wrote": [put(0, 1, b"a", 5), get(2, 3, b"b", 5)],
    "a read that goes back": [put(0, 1, b"a", 5), put(2, 20, b"b", 6), get(3, 4, b"b", 6), get(5, 6, b"a", 5)],
    "two that compare with the same version": [put(0, 1, b"a", 5), put(2, 6, b"b", 6, 5), put(3, 7, b"c", 7, 5)],
    "two that create": [put(0, 5, b"a", 5, 0), put(1, 6, b"b", 6, 0)],
    "a refusal without a reason": [put(0, 1, b"a", 5), op("put", 2, 3, "conflict", b"b", None, 5)],
    "a version that comes twice": [put(0, 1, b"a", 5), op("delete", 2, 3, version=5), put(4, 5, b"b", 5)],
    "versions that fall": [put(0, 1, b"a", 5), put(2, 3, b"b", 4)],
    "a deleted value that returns": [put(0, 1, b"a", 5), op("delete", 2, 3, version=5), get(4, 5, b"a", 5)],
    "a delete of something else": [put(0, 1, b"a", 5), op("delete", 2, 3, version=4)],
    "a write that happened twice": [
        put(0, 1, b"a", 5),
        put(2, 3, b"b", 6),
        get(4, 5, b"b", 6),
        get(6, 7, b"a", 7),
    ],
    "an unanswered put that comes and goes": [
        put(0, 1, b"a", 5),
        lost_put(2, b"b"),
        get(3, 4, b"b", 6),
        get(5, 6, b"a", 5),
    ],
    "an unanswered put before it was begun": [put(0, 1, b"a", 5), get(2, 3, b"b", 6), lost_put(4, b"b")],
    "an unanswered put with two versions": [lost_put(0, b"a"), get(1, 2, b"a", 5), get(3, 4, b"a", 6)],
    "an unanswered put below what was there": [put(0, 1, b"a", 5), lost_put(2, b"b"), get(3, 4, b"b", 4)],
    "an unanswered compare that can't hold": [put(0, 1, b"a", 5), lost_put(2, b"b", 4), get(3, 4, b"b", 6)],
    "a list with an old version": [put(0, 1, b"a", 5), put(2, 3, b"b", 6), op("seen", 4, 5, version=5)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories_are_explained(name):
    assert verdict(*GOOD[name]) is True


@pytest.mark.parametrize("name", BAD)
def test_bad_histories_are_not(name):
    assert verdict(*BAD[name]) is False


def test_keys_are_judged_each_for_itself():
    history = [
        op("put", 0, 1, value=b"a", version=5, key="x"),
        op("get", 2, 3, "not found", key="y"),
        op("get", 4, 5, "not found", key="x"),
    ]
    assert [(found.key, found.explained) for found in check(history)] == [("x", False), ("y", True)]


def test_the_story_tells_where_it_goes_wrong():
    (found,) = check([put(0, 1, b"a", 5), put(2, 3, b"b", 6), get(4, 5, b"a", 5)])
    assert found.story.splitlines() == [
        "k: the longest explanation ends so:",
        "  0..1 client 0: put b'a' -> ok at 5",
        "which leaves (b'a', 5, 5); none of these can come next:",
        "  2..3 client 0: put b'b' -> ok at 6",
        "because this, which began too late, has to come before they do:",
        "  4..5 client 0: get b'a' -> ok at 5",
    ]


def test_a_search_without_end_is_given_up_and_says_so():
    (found,) = check([put(0, 1, b"a", 5), missing(2, 3)], max_steps=1)
    assert found.explained is None


# --- against a search without wit --------------------------------------------------------------------------


def explained_by_some_order(history):
    """Every order of every subset of the unanswered with all the answered."""
    answered = [o for o in history if o.end is not None]
    others = [o for o in history if o.end is None]
    for count in range(len(others) + 1):
        for chosen in itertools.combinations(others, count):
            if any(holds(order) for order in itertools.permutations([*answered, *chosen])):
                return True
    return False


def holds(order):
    for at, later in enumerate(order):
        for earlier in order[at + 1 :]:
            if earlier.end is not None and earlier.end < later.begin:
                return False
    states = {Register().initial()}
    for operation in order:
        states = {after for state in states for after in Register().after(state, operation)}
    return bool(states)


@st.composite
def histories(draw):
    count = draw(st.integers(2, 5))
    found = []
    for client in range(count):
        begin = draw(st.integers(0, 8))
        end = begin + draw(st.integers(1, 6))
        kind = draw(st.sampled_from(["put", "put", "get", "get", "delete", "lost put", "lost delete", "conflict"]))
        value = draw(st.sampled_from([b"a", b"b"]))
        version = draw(st.integers(1, 3))
        if_version = draw(st.sampled_from([None, 0, 1, 2]))
        match kind:
            case "put":
                found.append(op("put", begin, end, "ok", value, version, if_version, client))
            case "get":
                gone = draw(st.booleans())
                found.append(missing(begin, end) if gone else get(begin, end, value, version))
            case "delete":
                found.append(op("delete", begin, end, "ok", None, version, if_version or None, client))
            case "conflict":
                found.append(op("put", begin, end, "conflict", value, None, if_version or 0, client))
            case "lost put":
                found.append(op("put", begin, None, "unknown", value, None, if_version, client))
            case _:
                found.append(op("delete", begin, None, "unknown", None, None, if_version or None, client))
    return found


@settings(max_examples=300, deadline=None)
@given(histories())
def test_it_agrees_with_a_search_of_all_orders(history):
    assert verdict(*history) == explained_by_some_order(history)


# --- long ones ---------------------------------------------------------------------------------------------


def made(seed, length, clients, lost):
    """A history as a real register would give it, a fraction `lost` of the writes unanswered: half of those have
    happened."""
    rng = random.Random(seed)
    now, version, held, history = 0, 0, None, []
    busy = [0] * clients
    for number in range(length):
        client = rng.randrange(clients)
        begin = busy[client] + 1
        point = max(now, begin) + rng.randrange(1, 10)  # when it happens
        end = point + rng.randrange(1, 30)
        now, busy[client] = point, end
        if rng.random() < 0.5:
            found = ("get", begin, end, "ok", *held) if held else ("get", begin, end, "not found")
        elif rng.random() < lost:
            value = b"%d" % number
            if rng.random() < 0.5:
                version += rng.randrange(1, 4)
                held = (value, version)
            found = ("put", begin, None, "unknown", value)
        else:
            version += rng.randrange(1, 4)
            held = (b"%d" % number, version)
            found = ("put", begin, end, "ok", *held)
        history.append(op(*found, client=client))
    return history


@pytest.mark.parametrize(("length", "clients", "lost"), [(3_000, 8, 0.0), (3_000, 8, 0.05), (1_000, 16, 0.3)])
def test_long_histories_are_judged(length, clients, lost):
    for seed in range(3):
        history = made(seed, length, clients, lost)
        assert verdict(*history) is True
        reads = [at for at, o in enumerate(history) if o.kind == "get" and o.outcome == "ok" and o.begin > 0]
        at = reads[len(reads) // 2]
        wrong = Operation(**{f: getattr(history[at], f) for f in Operation.__struct_fields__} | {"value": b"never"})
        assert verdict(*history[:at], wrong, *history[at + 1 :]) is False
