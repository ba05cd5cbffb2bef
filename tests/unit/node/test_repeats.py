"""A decision that was carried out and changed nothing is not made again at each look."""

from orion.node.leader.repeats import Repeats


def test_the_same_is_passed_over_once_and_then_tried_again():
    repeats = Repeats()
    assert [repeats.is_one("web", "move") for _ in range(4)] == [False, True, False, True]


def test_another_one_is_none_nor_that_of_another_key_nor_one_after_a_rest():
    repeats = Repeats()
    assert not repeats.is_one("web", "move")
    assert not repeats.is_one("db", "move")
    assert not repeats.is_one("web", "retire")
    repeats.forget("web")
    assert not repeats.is_one("web", "retire")
