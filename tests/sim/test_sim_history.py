import pytest

from sim.history import ENDS, STAYS, Op, check_history
from sim.loop import SimFailure


def op(kind, begin, end, outcome="ok", **more):
    values = {"value": STAYS} if kind == "create" else {}
    return Op(0, kind, "k", begin, end, outcome, **{**values, **more})


def seen(begin, end, *, stopped=False):
    names = frozenset({"k"})
    return Op(0, "list", "", begin, end, "ok", names, names if stopped else frozenset())


def unseen(begin, end):
    return Op(0, "list", "", begin, end, "ok")


def test_a_plain_history_is_explained():
    check_history(
        [
            unseen(0, 1),
            op("create", 2, 5),
            seen(4, 6),
            op("create", 7, 8, "conflict"),
            op("delete", 9, 12),
            seen(10, 13),
            unseen(14, 15),
        ],
    )


def test_a_stale_read_is_found():
    with pytest.raises(SimFailure, match="no order"):
        check_history([op("create", 0, 1), unseen(2, 3)])


def test_a_lost_write_is_found():
    with pytest.raises(SimFailure, match="no order"):
        check_history([op("create", 0, 1), seen(2, 3), unseen(4, 5), op("create", 6, 7)])


def test_a_write_that_was_not_answered_may_happen_late_or_never():
    late = op("create", 0, None, "unknown")
    check_history([late, unseen(5, 6), seen(7, 8)])
    check_history([late, unseen(5, 6)])
    with pytest.raises(SimFailure):
        check_history([late, seen(7, 8), unseen(9, 10)])


def test_a_task_that_was_deleted_may_be_seen_until_it_is_forgotten_but_not_again():
    stopping = [op("create", 0, 1), op("delete", 2, 3), seen(4, 5)]
    check_history([*stopping, unseen(6, 7)])
    with pytest.raises(SimFailure):
        check_history([*stopping, unseen(6, 7), seen(8, 9)])


def test_two_creates_of_one_name_cannot_both_be_first():
    with pytest.raises(SimFailure):
        check_history([op("create", 0, 10), op("create", 0, 10)])


def test_the_name_of_what_was_deleted_is_free_at_once():
    deleted = [op("create", 0, 1), op("delete", 2, 3), seen(4, 5)]
    check_history([*deleted, op("create", 6, 7), seen(8, 9)])
    with pytest.raises(SimFailure):
        check_history([*deleted, op("create", 6, 7, "conflict")])


def test_the_name_of_what_may_have_ended_may_be_free():
    check_history([op("create", 0, 1, value=ENDS), op("create", 2, 3, value=ENDS), op("create", 4, 5)])
    check_history([op("create", 0, 1, value=ENDS), op("create", 2, 3, "conflict")])


def test_what_was_stopped_is_kept_until_it_is_started_or_deleted():
    stopped = [op("create", 0, 1, value=ENDS), op("stop", 2, 3), seen(4, 5, stopped=True)]
    check_history([*stopped, op("create", 6, 7, "conflict"), op("stop", 8, 9)])
    check_history([*stopped, op("start", 6, 7), seen(8, 9)])
    check_history([*stopped, op("delete", 6, 7), op("create", 8, 9), seen(10, 11)])
    for forgot in (unseen(6, 7), seen(6, 7), op("create", 6, 7), op("stop", 6, 7, "not found")):
        with pytest.raises(SimFailure):
            check_history([*stopped, forgot])


def test_what_is_not_there_can_be_neither_stopped_nor_started():
    for kind in ("stop", "start"):
        check_history(
            [op(kind, 0, 1, "not found"), op("create", 2, 3), op("delete", 4, 5), op(kind, 6, 7, "conflict")]
        )
        with pytest.raises(SimFailure):
            check_history([op(kind, 0, 1)])


def test_an_index_that_goes_back_is_found():
    with pytest.raises(SimFailure, match="index 4 after another had shown 5"):
        check_history([op("list", 0, 1, index=5), op("list", 2, 3, index=4)])


# --- configs -----------------------------------------------------------------------------------------------


def test_configs_are_judged_too():
    put = op("put", 0, 1, value=b"a", version=5)
    check_history([put, op("get", 2, 3, value=b"a", version=5, index=5), op("ls", 4, 5, versions={"k": 5})])
    check_history([put, op("drop", 2, 3, version=5), op("get", 4, 5, "not found"), op("ls", 6, 7)])
    with pytest.raises(SimFailure, match="no order"):
        check_history([put, op("ls", 2, 3)])
    with pytest.raises(SimFailure, match="no order"):
        check_history([put, op("put", 2, 3, "conflict", value=b"b", if_version=5)])


def test_a_config_and_a_task_of_the_same_name_are_different_things():
    check_history([op("create", 0, 1), op("drop", 2, 3, "not found"), seen(4, 5)])


def test_a_read_that_was_not_answered_says_nothing():
    check_history([op("put", 0, 1, value=b"a", version=5), op("get", 2, None, "unknown")])
