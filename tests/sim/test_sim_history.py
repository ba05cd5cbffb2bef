import pytest

from sim.history import Op, check_history, check_key
from sim.loop import SimFailure


def op(kind, begin, end, outcome="ok", **more):
    return Op(0, kind, "k", begin, end, outcome, **more)


def test_a_plain_history_is_explained():
    check_key(
        "k",
        [
            op("unseen", 0, 1),
            op("create", 2, 5),
            op("seen", 4, 6),
            op("create", 7, 8, "conflict"),
            op("delete", 9, 12),
            op("seen", 10, 13),
            op("unseen", 14, 15),
        ],
    )


def test_a_stale_read_is_found():
    with pytest.raises(SimFailure, match="no order"):
        check_key("k", [op("create", 0, 1), op("unseen", 2, 3)])


def test_a_lost_write_is_found():
    with pytest.raises(SimFailure, match="no order"):
        check_key("k", [op("create", 0, 1), op("seen", 2, 3), op("unseen", 4, 5), op("create", 6, 7)])


def test_a_write_that_was_not_answered_may_happen_late_or_never():
    late = op("create", 0, None, "unknown")
    check_key("k", [late, op("unseen", 5, 6), op("seen", 7, 8)])
    check_key("k", [late, op("unseen", 5, 6)])
    with pytest.raises(SimFailure):
        check_key("k", [late, op("seen", 7, 8), op("unseen", 9, 10)])


def test_a_task_that_was_deleted_may_be_seen_until_it_is_forgotten_but_not_again():
    stopping = [op("create", 0, 1), op("delete", 2, 3), op("seen", 4, 5)]
    check_key("k", [*stopping, op("unseen", 6, 7)])
    with pytest.raises(SimFailure):
        check_key("k", [*stopping, op("unseen", 6, 7), op("seen", 8, 9)])


def test_two_creates_of_one_name_cannot_both_be_first():
    with pytest.raises(SimFailure):
        check_key("k", [op("create", 0, 10), op("create", 0, 10)])


def test_an_index_that_goes_back_is_found():
    with pytest.raises(SimFailure, match="index 4 after another had shown 5"):
        check_history([op("list", 0, 1, index=5), op("list", 2, 3, index=4)])
