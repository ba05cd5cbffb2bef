"""The codes of gRPC as a few kinds of failures, by a table, with words for people."""

from typing import NamedTuple

from grpclib.const import Status

from orion.model.csi import FailureKind
from orion.model.secret_values import SecretValues
from orion.ports.csi import CsiFailed

MAX_SAID_CHARS = 400


class Meaning(NamedTuple):
    kind: FailureKind
    todo: str


_LATER = "It is tried again."
_LOOK = "The plugin's log may say more."

# The table of the specification ("Error Scheme"), and the codes that gRPC itself gives.
BY_CODE = {
    Status.CANCELLED: Meaning(FailureKind.RETRY, _LATER),
    Status.UNKNOWN: Meaning(FailureKind.RETRY, _LATER),
    Status.INVALID_ARGUMENT: Meaning(FailureKind.FINAL, "Change what is asked of the volume. " + _LOOK),
    Status.DEADLINE_EXCEEDED: Meaning(FailureKind.RETRY, _LATER),
    Status.NOT_FOUND: Meaning(FailureKind.NOT_FOUND, "The plugin does not have it, or not for this node."),
    Status.ALREADY_EXISTS: Meaning(
        FailureKind.CONFLICT, "There is one by this name that differs: choose another name, or delete that one."
    ),
    Status.PERMISSION_DENIED: Meaning(FailureKind.DENIED, "Look at the plugin's secrets and its rights."),
    Status.RESOURCE_EXHAUSTED: Meaning(
        FailureKind.EXHAUSTED, "The storage has no room left, or the node no place for one more volume."
    ),
    Status.FAILED_PRECONDITION: Meaning(
        FailureKind.IN_USE, "It is in use, or not in the state that this needs: have others let go of it first."
    ),
    Status.ABORTED: Meaning(FailureKind.PENDING, "The plugin still works on the volume. " + _LATER),
    Status.OUT_OF_RANGE: Meaning(FailureKind.OUT_OF_RANGE, "Choose another size."),
    Status.UNIMPLEMENTED: Meaning(FailureKind.UNIMPLEMENTED, "The plugin can't do this."),
    Status.INTERNAL: Meaning(FailureKind.RETRY, _LATER),
    Status.UNAVAILABLE: Meaning(FailureKind.RETRY, _LATER),
    Status.DATA_LOSS: Meaning(FailureKind.FINAL, _LOOK),
    Status.UNAUTHENTICATED: Meaning(FailureKind.DENIED, "Look at the plugin's secrets."),
}

# Where a call gives a code a meaning of its own.
BY_CALL = {
    ("NodePublishVolume", Status.FAILED_PRECONDITION): Meaning(
        FailureKind.RETRY,
        "Another task has it on the node and may alone, or what it needs is not there yet. " + _LATER,
    ),
    ("ControllerPublishVolume", Status.ALREADY_EXISTS): Meaning(
        FailureKind.CONFLICT, "The node has the volume in another way: have its tasks there end first."
    ),
    ("ListVolumes", Status.ABORTED): Meaning(FailureKind.RETRY, "The list has to begin anew. " + _LATER),
    ("ListSnapshots", Status.ABORTED): Meaning(FailureKind.RETRY, "The list has to begin anew. " + _LATER),
}


class Call(NamedTuple):
    """A call as people are told of it. `about`: "volume data", or "" where it is about none."""

    plugin: str
    name: str
    about: str
    secrets: SecretValues

    @property
    def words(self) -> str:
        about = f" for {self.about}" if self.about else ""
        return f"plugin {self.plugin}: {self.name}{about}"

    def refused(self, code: Status, said: str) -> CsiFailed:
        kind, todo = BY_CALL.get((self.name, code)) or BY_CODE[code]
        return CsiFailed(f"{self.words} was refused: {code.name}: {self._shown(said)}. {todo}", kind)

    def broken(self, why: str) -> CsiFailed:
        """Nobody answered as gRPC has it; the work may be done or not."""
        return CsiFailed(f"{self.words} got no answer: {self._shown(why)}. {_LATER}", FailureKind.RETRY)

    def lied(self, why: str) -> CsiFailed:
        return CsiFailed(
            f"{self.words} was answered in a way that can't be true: {self._shown(why)}. Nothing of it is believed,"
            " and it is tried again: look for a newer version of the plugin",
            FailureKind.LIE,
        )

    def too_large(self, size_bytes: int, most_bytes: int) -> CsiFailed:
        return CsiFailed(
            f"{self.words} would be {size_bytes:,} bytes, and {most_bytes:,} are the most: have fewer parameters",
            FailureKind.FINAL,
        )

    def _shown(self, said: str) -> str:
        """A plugin's words, which may be anything, without secrets and in one short line."""
        text = "".join(char if char.isprintable() else " " for char in self.secrets.hidden(said)).strip()
        text = text if len(text) <= MAX_SAID_CHARS else text[: MAX_SAID_CHARS - 1] + "…"
        return text.rstrip(". ") or "(no words)"
