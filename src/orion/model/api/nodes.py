"""Nodes in JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import schema
from orion.model.labels import LABEL_KEY, LABEL_VALUE, OWN
from orion.model.limits import MAX_SELECTORS

_LabelChange = Annotated[str | None, schema(pattern=f"^{LABEL_VALUE}$")]
_NOT_ITS_OWN = f"^(?!({'|'.join(OWN)})$)"


class Amounts(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Cores, or bytes, of a node."""

    total: Annotated[float, Meta(description="What may be given to tasks.")]
    given: Annotated[float, Meta(description="What is given to tasks.")]
    used: Annotated[float | None, Meta(description="What the machine measures now; null: not known.")]


class NodeView(msgspec.Struct, frozen=True, rename="camel"):
    """A node as the cluster and gossip know it."""

    name: str
    ip: str
    api_address: str
    role: Annotated[str, Meta(description="leader, voter, learner or worker")]
    status: Annotated[
        str,
        Meta(
            description="alive, suspect, dead, left, draining (tasks are yet to move), drained, or unknown (nobody "
            "leads, and the node asked has not heard of it since it started)"
        ),
    ]
    reason: Annotated[str, Meta(description="Why it takes no work, if it takes none.")]
    version: str
    labels: Annotated[dict[str, str], Meta(description="Those that count.")]
    cpu: Annotated[Amounts, Meta(description="Cores.")]
    memory: Annotated[Amounts, Meta(description="Bytes.")]
    disk: Annotated[Amounts, Meta(description="Bytes.")]
    tasks: Annotated[int, Meta(description="How many it has.")]
    label_changes: Annotated[
        dict[str, str | None],
        Meta(
            description="What POST /nodes/{id}/labels has said over what the node says of itself; null: taken away."
        ),
    ] = {}


class LabelsRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Body of `POST /nodes/{id}/labels`."""

    labels: Annotated[
        dict[str, _LabelChange],
        Meta(
            description="Labels to set, null for those to take away. The others stay.",
            max_length=MAX_SELECTORS,
            extra_json_schema={"propertyNames": {"pattern": _NOT_ITS_OWN + LABEL_KEY + "$"}},
        ),
    ]
