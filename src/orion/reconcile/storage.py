"""Volumes and snapshots of storage systems: the next thing to be done for each.

Before the first call it is written down that there may have been one. From then on a call that failed may have done
its work, so whatever is to be removed is found by the call that made it, and deleted by the id that this answers.
"""

import enum

import msgspec

from orion.model.csi import FailureKind
from orion.model.storage import SystemPart
from orion.model.volume_snapshots import SNAPSHOT, VolumeSnapshot
from orion.model.volumes import Volume

FIRST_AGAIN_MS = 500
LONGEST_AGAIN_MS = 60_000
# One that is to be removed and was never there: so many refusals of the call to make it, one after the other.
SURE = 3
_REFUSED = frozenset(
    kind.value for kind in (FailureKind.FINAL, FailureKind.OUT_OF_RANGE, FailureKind.UNIMPLEMENTED)
)

Subject = tuple[str, int]  # the key of a volume or a snapshot, and its created_index


class StorageStep(enum.StrEnum):
    """`ASK`: it is written down that a call is made. `MAKE`, `GROW` and `DELETE` are calls. `END`: its row goes."""

    NOTHING = "nothing"
    ASK = "ask"
    MAKE = "make"
    GROW = "grow"
    DELETE = "delete"
    END = "end"


class Standing(msgspec.Struct, frozen=True):
    """A volume or a snapshot. `made`: its plugin has said by which id. `unready`: it is made and can't be used yet.
    `grow_to`: the size that it is to have, 0 for that which it has. `given`: it was there before, and is not
    Orion's to delete. `held`: a node has it. `asked_at` is another one when somebody has asked for it again.
    """

    key: str
    created_index: int
    driver: str
    asked: bool = False
    made: bool = False
    unready: bool = False
    removing: bool = False
    grow_to: int = 0
    given: bool = False
    held: bool = False
    why: str = ""
    refused: bool = False
    asked_at: int = 0

    @property
    def subject(self) -> Subject:
        return self.key, self.created_index


# By removing, asked and made.
_TABLE = {
    (False, False, False): StorageStep.ASK,
    (False, True, False): StorageStep.MAKE,
    (False, True, True): StorageStep.NOTHING,
    (True, False, False): StorageStep.END,
    (True, True, False): StorageStep.MAKE,  # to learn by which id it is deleted
    (True, True, True): StorageStep.DELETE,
}


def next_step(each: Standing) -> StorageStep:
    if each.removing and each.held:
        return StorageStep.NOTHING
    if each.removing and each.given:
        return StorageStep.END
    step = _TABLE[each.removing, each.asked or each.made, each.made]
    if step is not StorageStep.NOTHING:
        return step
    if each.unready:
        return StorageStep.MAKE
    return StorageStep.GROW if each.grow_to else StorageStep.NOTHING


def was_never_there(each: Standing, kind: str, refusals: int) -> bool:
    """Returns whether one that is to be removed was never made, though a call to make it was: the same call is
    refused for good. `refusals`: of this kind in a row.
    """
    return is_expected(each, kind) and refusals >= SURE


def is_expected(each: Standing, kind: str) -> bool:
    """Returns whether a failure is no news: the call that made nothing is refused again, to learn whether there is
    something to be removed.
    """
    return each.removing and not each.made and kind in _REFUSED


def of_volume(row: Volume, part: SystemPart, *, held: bool) -> Standing:
    return Standing(
        row.name,
        row.created_index,
        row.driver,
        asked=part.asked,
        made=bool(row.data),
        removing=part.removing,
        grow_to=part.grow_to,
        given=bool(part.given),
        held=held,
        why=part.why,
        refused=part.refused,
        asked_at=part.asked_at,
    )


def of_snapshot(row: VolumeSnapshot) -> Standing:
    return Standing(
        f"{SNAPSHOT}{row.name}",
        row.created_index,
        row.driver,
        asked=row.asked,
        made=bool(row.data),
        unready=not row.ready,
        removing=row.removing,
        why=row.why,
        refused=row.refused,
    )
