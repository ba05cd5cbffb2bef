"""One plugin's volume on one node: what is wanted of it there, and what the node remembers of it, as values."""

import enum

import msgspec

from orion.model.csi import Access, Context
from orion.model.secret_values import NO_SECRETS, SecretValues


class Target(msgspec.Struct, frozen=True):
    """One task's view of a volume, at an absolute path."""

    path: str
    readonly: bool = False


class WantedVolume(msgspec.Struct, frozen=True):
    """A volume that tasks of this node need. `id` and `context` are of CreateVolume, `published` of
    ControllerPublishVolume. `size_bytes`: to which the node's part has to grow, 0 for no growth. `name`: as people
    call it.
    """

    plugin: str
    id: str
    access: Access
    targets: tuple[Target, ...]
    published: Context = {}
    context: Context = {}
    size_bytes: int = 0
    secrets: SecretValues = NO_SECRETS
    name: str = ""


class Phase(enum.Enum):
    """How far something is on its way in and out. Before each call the phase says that it may have been done."""

    ABSENT = "absent"
    BEGUN = "begun"  # a call to bring it was made, or may have been
    DONE = "done"
    ENDING = "ending"  # a call to take it away was made
    LEFT = "left"  # the plugin says that it is away


class KnownTarget(msgspec.Struct, frozen=True):
    path: str
    readonly: bool
    phase: Phase


class KnownVolume(msgspec.Struct, frozen=True):
    """A volume as this node remembers it. `staging`: a path. `made_for`: a digest of the terms on which it was
    brought, which other terms do not go with. `boot`: of the machine, at the last call.
    """

    plugin: str
    id: str
    made_for: str = ""
    staging: str = ""
    staged: Phase = Phase.ABSENT
    targets: tuple[KnownTarget, ...] = ()
    size_bytes: int = 0
    boot: str = ""


class StepKind(enum.Enum):
    """The next thing to do. The first five are calls to the plugin, the sixth is this node's own, and the others
    only change what is remembered.
    """

    STAGE = "NodeStageVolume"
    PUBLISH = "NodePublishVolume"
    EXPAND = "NodeExpandVolume"
    UNPUBLISH = "NodeUnpublishVolume"
    UNSTAGE = "NodeUnstageVolume"
    UNMOUNT = "unmount"
    DOUBT = "doubt"
    DROP = "drop"
    FORGET = "forget"


CALLS = frozenset({StepKind.STAGE, StepKind.PUBLISH, StepKind.EXPAND, StepKind.UNPUBLISH, StepKind.UNSTAGE})
UNDOING = frozenset({StepKind.UNPUBLISH, StepKind.UNSTAGE, StepKind.UNMOUNT})


class Step(msgspec.Struct, frozen=True):
    """`path`: the target, or what is unmounted; "" where it is the volume's own."""

    kind: StepKind
    path: str = ""
