"""Secrets show themselves to nobody who does not ask for them by name."""

import copy
import pickle

import msgspec
import pytest

from orion.model.secret_values import MAX_SECRET_BYTES, MAX_SECRETS, SecretValues

SECRETS = SecretValues({"password": "hunter2", "user": "hunter2-admin"})


def test_no_way_of_printing_shows_them():
    for shown in (str(SECRETS), repr(SECRETS), f"{SECRETS}", "%s" % (SECRETS,), repr([SECRETS])):  # noqa: UP031
        assert "hunter2" not in shown
        assert "password" not in shown


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, copy.deepcopy])
def test_no_way_of_encoding_takes_them(encode):
    with pytest.raises(TypeError):
        encode(SECRETS)


def test_a_struct_that_holds_them_is_not_encoded_and_shows_nothing():
    class Holder(msgspec.Struct):
        secrets: SecretValues

    with pytest.raises(TypeError):
        msgspec.json.encode(Holder(SECRETS))
    assert "hunter2" not in repr(Holder(SECRETS))


def test_who_asks_by_name_gets_a_copy():
    values = SECRETS.reveal()
    values["password"] = "other"
    assert SECRETS.reveal()["password"] == "hunter2"


def test_words_of_others_come_without_them_the_longest_first():
    assert SECRETS.hidden("hunter2-admin may not: hunter2?") == "*** may not: ***?"
    assert SecretValues({"empty": ""}).hidden("all is well") == "all is well"


def test_they_are_bounded():
    with pytest.raises(ValueError, match="secrets"):
        SecretValues({str(number): "" for number in range(MAX_SECRETS + 1)})
    with pytest.raises(ValueError, match="bytes"):
        SecretValues({"a": "x" * MAX_SECRET_BYTES})
