"""Changes of configuration: the rules by which one follows from another (section 6, and 4.3 of the thesis).

A ConfChange names the whole target. When at most one voter differs, old and new majorities overlap anyway, and one
step leads there. Otherwise a joint configuration lies between, and the leader proposes by itself to leave it.
"""

from functools import lru_cache

import msgspec

from orion.raft.messages import NOBODY, ConfChange, ConfState

MAX_MEMBERS = 1_024  # named by one configuration or one change of it
MAX_ID = (1 << 64) - 1

_decoder = msgspec.msgpack.Decoder(ConfChange)


class ConfRefused(Exception):
    """The change can't be made from this configuration; the message is a sentence for a person."""


def encode_change(change: ConfChange) -> bytes:
    return msgspec.msgpack.encode(change)


def decode_change(data: bytes) -> ConfChange:
    """Raises msgspec.DecodeError or its subclass ValidationError when `data` holds no ConfChange."""
    return _decoder.decode(data)


def change_fault(data: bytes) -> str:
    """Returns why `data` is no change of configuration that a log may hold; "" when it is one. `next_conf` decides
    whether the change can be made from the configuration in force.
    """
    try:
        change = decode_change(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        return str(error)
    return _ids_fault(change.voters + change.learners)


def conf_fault(conf: ConfState) -> str:
    """Returns what is wrong with a configuration; "" when it is sound."""
    groups = (conf.voters, conf.learners, conf.voters_outgoing, conf.learners_next)
    if fault := _ids_fault(tuple(member for group in groups for member in group)):
        return fault
    voters = {*conf.voters, *conf.voters_outgoing}
    if any(list(group) != sorted(set(group)) for group in groups):
        return "not sorted and unique"
    if voters & set(conf.learners):
        return "voter and learner at once"
    if not set(conf.learners_next) <= set(conf.voters_outgoing) - set(conf.voters):
        return "learners_next are no outgoing voters"
    if not is_joint(conf) and (conf.learners_next or conf.auto_leave):
        return "learners_next or auto_leave outside of a joint configuration"
    return ""


def _ids_fault(ids: tuple[int, ...]) -> str:
    if len(ids) > MAX_MEMBERS:
        return f"{len(ids):,} members; a configuration has at most {MAX_MEMBERS:,}"
    if not all(NOBODY < member <= MAX_ID for member in ids):
        return "a member's id is out of range"
    return ""


def is_joint(conf: ConfState) -> bool:
    return bool(conf.voters_outgoing)


def members(conf: ConfState) -> list[int]:
    """All members that get the log, in order of id."""
    return sorted({*conf.voters, *conf.voters_outgoing, *conf.learners})


def all_voters(conf: ConfState) -> list[int]:
    """All members whose vote may count, in order of id."""
    return sorted({*conf.voters, *conf.voters_outgoing})


def is_voter(conf: ConfState, member: int) -> bool:
    return member in conf.voters or member in conf.voters_outgoing


def is_in(conf: ConfState, member: int) -> bool:
    return is_voter(conf, member) or member in conf.learners or member in conf.learners_next


def is_sole_voter(conf: ConfState, member: int) -> bool:
    return conf.voters == (member,) and conf.voters_outgoing in ((), (member,))


def next_conf(conf: ConfState, change: ConfChange) -> ConfState:
    """The configuration that `change` leads to from `conf`. Raises ConfRefused."""
    if change.leaves_joint:
        return _leave_joint(conf)
    if is_joint(conf):
        raise ConfRefused("the configuration is joint: it has to be left first")
    voters, learners = _checked(change)
    if conf.voters and len(set(voters) ^ set(conf.voters)) > 1:
        # A voter that is to become a learner votes in the outgoing majority for as long as that counts.
        return ConfState(
            voters=voters,
            learners=tuple(m for m in learners if m not in conf.voters),
            voters_outgoing=conf.voters,
            learners_next=tuple(m for m in learners if m in conf.voters),
            auto_leave=True,
        )
    return ConfState(voters=voters, learners=learners)


def _leave_joint(conf: ConfState) -> ConfState:
    if not is_joint(conf):
        raise ConfRefused("the configuration is not joint: there is nothing to leave")
    return ConfState(voters=conf.voters, learners=tuple(sorted({*conf.learners, *conf.learners_next})))


def _checked(change: ConfChange) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The change's voters and learners, sorted. Raises ConfRefused."""
    voters, learners = sorted(set(change.voters)), sorted(set(change.learners))
    if not voters:
        raise ConfRefused("a configuration needs a voter")
    if NOBODY in voters or NOBODY in learners:
        raise ConfRefused("0 is nobody's id")
    if both := set(voters) & set(learners):
        raise ConfRefused(f"{min(both)} can't be voter and learner at once")
    return tuple(voters), tuple(learners)


@lru_cache(maxsize=16)  # asked after every step, about the same one mostly
def check_conf(conf: ConfState) -> None:
    """Asserts that the configuration is sound."""
    fault = conf_fault(conf)
    assert not fault, f"{fault}: {conf}"
