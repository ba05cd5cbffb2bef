import pytest
from state_kit import World

from orion.model.configs import MAX_KEY_BYTES, MAX_VALUE_BYTES, key_error
from orion.model.errors import AnswerForgotten, Conflict, NotFound, Refused, TooLarge
from orion.model.levels import LEVEL
from orion.state.core import dedup
from orion.state.tables import configs
from orion.state.tables.configs import ConfigAnswers, Configs


@pytest.fixture
def world():
    return World()


def test_a_put_is_there_at_the_version_of_its_entry(world):
    stat = world.put("app/a", b"one").result
    assert (stat.key, stat.version, stat.size_bytes) == ("app/a", world.index, 3)
    assert world.state.of(Configs).get("app/a").value == b"one"
    first = stat.version
    stat = world.put("app/a", b"longer").result
    assert stat.version == world.index > first
    assert world.state.of(Configs).get("app/a").stat == stat


def test_a_version_never_comes_twice(world):
    first = world.put().result.version
    world.delete()
    assert world.put().result.version > first
    assert isinstance(world.refused(world.putting(if_version=first)), Conflict)


def test_a_compare_names_what_is_there(world):
    assert "does not exist" in world.refused(world.putting(if_version=7)).detail
    version = world.put(if_version=0).result.version
    error = world.refused(world.putting(if_version=0))
    assert isinstance(error, Conflict)
    assert error.detail == f"app/a exists already, at version {version}"
    error = world.refused(world.putting(if_version=version + 1))
    assert f"is at version {version}, not {version + 1}" in error.detail
    assert world.put(value=b"two", if_version=version).result.version == world.index


def test_a_delete_compares_too_and_answers_what_was_there(world):
    stat = world.put().result
    assert isinstance(world.refused(world.deleting(if_version=stat.version + 1)), Conflict)
    assert world.delete(if_version=stat.version).result == stat
    assert world.state.of(Configs).get("app/a") is None
    assert isinstance(world.refused(world.deleting()), NotFound)


def test_times_tell_when_it_came_and_when_it_changed(world):
    world.put()
    later = world.do(type(world.putting())(500, "app/a", b"two", None, "later", world.index)).result
    assert (later.created_at_ms, later.changed_at_ms) == (110, 500)


def test_a_list_is_sorted_and_holds_a_prefix_only(world):
    for key in ("b", "a/2", "a/10", "a", "ab", "a-"):
        world.put(key)
    assert [stat.key for stat in world.state.of(Configs).stats("")] == ["a", "a-", "a/10", "a/2", "ab", "b"]
    assert [stat.key for stat in world.state.of(Configs).stats("a/")] == ["a/10", "a/2"]
    assert world.state.of(Configs).stats("c") == []
    world.delete("a/10")
    assert [stat.key for stat in world.state.of(Configs).stats("a/")] == ["a/2"]


# --- a second copy of a command ----------------------------------------------------------------------------


def test_a_second_copy_is_answered_as_the_first_was_and_changes_nothing(world):
    first = world.put(value=b"one", if_version=0, idem="x")
    world.put(value=b"two")
    assert world.put(value=b"one", if_version=0, idem="x").result == first.result
    assert world.state.of(Configs).get("app/a").value == b"two"


def test_a_second_copy_of_a_delete_deletes_no_later_one(world):
    stat = world.put().result
    world.delete(idem="x")
    world.put(value=b"new")
    assert world.delete(idem="x").result == stat
    assert world.state.of(Configs).get("app/a").value == b"new"


@pytest.mark.parametrize("kind", ["put", "delete"])
def test_a_refusal_stays_one(world, kind):
    """Its client has been told; a late copy of the command must not do it after all."""
    if kind == "put":
        world.put()
        before = world.put(value=b"x", if_version=0, idem="x").result
        world.delete()
        after = world.put(value=b"x", if_version=0, idem="x").result
    else:
        before = world.delete(idem="x").result
        world.put()
        after = world.delete(idem="x").result
    assert (type(after), after.detail) == (type(before), before.detail)
    assert (world.state.of(Configs).get("app/a") is None) == (kind == "put")


def test_an_idempotency_key_is_of_one_key_only(world):
    world.put("a", idem="x")
    assert world.put("b", idem="x").result.key == "b"


def test_an_idempotency_key_is_of_one_verb_only(world):
    world.put("a", idem="x")
    assert world.delete("a", idem="x").result.key == "a"
    assert world.state.of(Configs).get("a") is None
    world.put("a", b"new")
    world.delete("a", idem="x")
    world.put("a", b"old", idem="x")
    assert world.state.of(Configs).get("a").value == b"new"


def test_a_copy_that_comes_after_its_answer_was_forgotten_is_known_as_such(world, monkeypatch):
    monkeypatch.setattr(dedup, "MAX_ANSWERS", 3)
    since = world.index
    world.put("a", b"old", idem="x", since=since)
    world.put("a", b"new")
    for n in range(2):
        assert world.put("a", b"old", idem="x", since=since).result.version == since + 1
        world.put(f"b{n}")
    error = world.refused(world.putting("a", b"old", idem="x", since=since))
    assert isinstance(error, AnswerForgotten)
    assert world.state.of(Configs).get("a").value == b"new"
    # The first copy of another, made since, is no copy of what was forgotten.
    assert world.put("c", since=world.state.of(ConfigAnswers).forgotten).result.version == world.index
    assert len(world.state.of(ConfigAnswers).answers) == 3


# --- bounds ------------------------------------------------------------------------------------------------


def test_a_value_has_a_largest_size(world):
    world.state.level = LEVEL
    world.put(value=bytes(MAX_VALUE_BYTES))
    error = world.refused(world.putting(value=bytes(MAX_VALUE_BYTES + 1)))
    assert isinstance(error, TooLarge)
    assert "at most 1,048,576" in error.detail


def test_a_value_stays_small_while_a_former_build_may_apply_it(world):
    world.put(value=bytes(65_536))
    error = world.refused(world.putting(value=bytes(65_537)))
    assert error.detail == "the value is 65,537 bytes; a config has at most 65,536"


def test_all_of_them_have_a_largest_size(world, monkeypatch):
    monkeypatch.setattr(configs, "MAX_CONFIGS_BYTES", 100)
    world.put("a", bytes(60))
    error = world.refused(world.putting("b", bytes(39)))
    assert isinstance(error, Refused)
    assert "100 bytes" in error.detail
    world.put("b", bytes(38))
    world.put("a", bytes(10))
    world.put("c", bytes(49))
    assert world.state.of(Configs).bytes == 100
    world.delete("b")
    assert world.state.of(Configs).bytes == 61


def test_there_is_a_largest_number(world, monkeypatch):
    monkeypatch.setattr(configs, "MAX_CONFIGS", 2)
    world.put("a")
    world.put("b")
    assert "2 configs, the most" in world.refused(world.putting("c")).detail
    world.put("a", b"changed")


@pytest.mark.parametrize("key", ["a", "A.b_c-9", "a/b/c", "..a", "a" * MAX_KEY_BYTES, "-", "..."])
def test_keys(key):
    assert key_error(key) is None


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a b", "ä", "a\n", "a\0", "a" * (MAX_KEY_BYTES + 1)]
)
def test_no_keys(world, key):
    assert key_error(key)
    assert isinstance(world.refused(world.putting(key)), Refused)
