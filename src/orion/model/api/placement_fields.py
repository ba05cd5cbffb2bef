"""Where a task goes, in JSON: the choice among nodes that fit, and rules for its node."""

from typing import Annotated

import msgspec
from msgspec import Meta

from orion.model.api.fields import Reading, schema
from orion.model.errors import shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.job import Placement
from orion.model.labels import LABEL_KEY
from orion.model.placement_rules import (
    CONSTRAINT_PATTERN,
    MAX_AFFINITIES,
    MAX_CONSTRAINT,
    MAX_CONSTRAINTS,
    MAX_PER_NODE,
    MAX_PRIORITY,
    MAX_WEIGHT,
    Affinity,
    Alongside,
    Constraint,
    PlacementRules,
    label_of,
    read_constraint,
)

_ConstraintText = Annotated[
    str,
    schema(
        "As in disk=ssd, zone!=a, zone in (a, b), zone not in (a, b), gpu exists, gpu not exists, rack~^r[0-9]+$ "
        "(a regular expression) or kernel>=6.1 (a version).",
        maxLength=MAX_CONSTRAINT,
        pattern=CONSTRAINT_PATTERN,
    ),
]


class AffinityRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A constraint whose nodes are preferred to others, or avoided."""

    constraint: _ConstraintText
    weight: Annotated[
        int,
        schema(
            "Of all that a node passes the sum counts.",
            minimum=-MAX_WEIGHT,
            maximum=MAX_WEIGHT,
            **{"not": {"const": 0}},
        ),
    ] = 50


class AlongsideRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Another job: the task goes where a task of that one runs."""

    job: Annotated[str, schema(pattern=f"^{JOB_NAME.pattern}$")]
    network: Annotated[bool, Meta(description="Its container has that one's network.")] = False
    pid: Annotated[bool, Meta(description="Its container sees that one's processes.")] = False


class PlacementRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Which of the nodes get a task."""

    strategy: Annotated[
        str,
        schema("spread: the least loaded; pack: the fullest; empty: as the cluster has it", enum=["", *Placement]),
    ] = ""
    constraints: Annotated[
        list[_ConstraintText],
        Meta(description="Its node passes all of them.", max_length=MAX_CONSTRAINTS),
    ] = []
    affinities: Annotated[
        list[AffinityRequest],
        Meta(
            description="Of the nodes that fit those are preferred that have the greatest weight.",
            max_length=MAX_AFFINITIES,
        ),
    ] = []
    spread_over: Annotated[
        str,
        schema(
            "A label: as many tasks of the job go to nodes with each of its values.", pattern=f"^({LABEL_KEY})?$"
        ),
    ] = ""
    max_per_node: Annotated[
        int, schema("The most tasks of the job on one node; 0: no limit.", minimum=0, maximum=MAX_PER_NODE)
    ] = 0
    distinct_hosts: Annotated[
        bool, Meta(description="One task of the job at most on a machine, whatever nodes it has.")
    ] = False
    alongside: Annotated[
        AlongsideRequest | Annotated[str, schema(pattern=f"^({JOB_NAME.pattern})?$")] | None,
        schema("A job, by its name alone or as an object."),
    ] = None


Asked = Annotated[str, schema("As `strategy`.", enum=["", *Placement])] | PlacementRequest
Places = tuple[Placement | None, PlacementRules | None]


def read_placement(asked: str | PlacementRequest, reading: Reading) -> Places:
    request = PlacementRequest(asked) if isinstance(asked, str) else asked
    if request.strategy and request.strategy not in tuple(Placement):
        where = () if isinstance(asked, str) else ("strategy",)
        what = f"strategy {shown(request.strategy)} is unknown: write {' or '.join(Placement)}"
        reading.wrong(what, *where)
        return None, None
    rules = _Rules(request, reading).read()
    return Placement(request.strategy) if request.strategy else None, rules if rules != PlacementRules() else None


class _Rules:
    def __init__(self, asked: PlacementRequest, reading: Reading) -> None:
        self._asked = asked
        self._reading = reading

    def read(self) -> PlacementRules:
        asked = self._asked
        for name, most in (("constraints", MAX_CONSTRAINTS), ("affinities", MAX_AFFINITIES)):
            if (many := len(getattr(asked, name))) > most:
                self._reading.wrong(f"{name} has {many:,} of them; a task can have {most}", name)
                return PlacementRules()
        if not 0 <= asked.max_per_node <= MAX_PER_NODE:
            self._reading.wrong(f"maxPerNode is {asked.max_per_node}: give 0 to {MAX_PER_NODE:,}", "maxPerNode")
        return PlacementRules(
            tuple(filter(None, (self._constraint(text, at) for at, text in enumerate(asked.constraints)))),
            tuple(filter(None, (self._affinity(each, at) for at, each in enumerate(asked.affinities)))),
            self._label(asked.spread_over),
            asked.max_per_node,
            asked.distinct_hosts,
            self._alongside(asked.alongside),
        )

    def _constraint(self, text: str, at: int) -> Constraint | None:
        try:
            return read_constraint(text)
        except ValueError as error:
            self._reading.wrong(str(error), "constraints", at)
        return None

    def _affinity(self, asked: AffinityRequest, at: int) -> Affinity | None:
        if not -MAX_WEIGHT <= asked.weight <= MAX_WEIGHT or not asked.weight:
            words = f"weight is {asked.weight}: give 1 to {MAX_WEIGHT}, or -{MAX_WEIGHT} to -1 to avoid these nodes"
            self._reading.wrong(words, "affinities", at, "weight")
        try:
            return Affinity(read_constraint(asked.constraint), asked.weight)
        except ValueError as error:
            self._reading.wrong(str(error), "affinities", at, "constraint")
        return None

    def _label(self, name: str) -> str:
        try:
            return label_of(name) if name else ""
        except ValueError as error:
            self._reading.wrong(str(error), "spreadOver")
        return ""

    def _alongside(self, asked: AlongsideRequest | str | None) -> Alongside | None:
        if not asked:
            return None
        wish = AlongsideRequest(asked) if isinstance(asked, str) else asked
        reading = self._reading
        if not JOB_NAME.fullmatch(wish.job):
            reading.wrong(f"alongside {shown(wish.job)} is no job's name", "alongside")
        elif wish.job == getattr(reading.request, "name", ""):
            reading.wrong(f"alongside {wish.job}: that is the job itself; name another one", "alongside")
        for field, what in (("port_bindings", "ports"), ("hostname", "a host name")):
            if wish.network and getattr(reading.request, field, None):
                words = f"a task with the network of {wish.job} can't have {what}: give {what} to that job"
                reading.wrong(words, "alongside", "network")
        return Alongside(JobName(wish.job), wish.network, wish.pid)


def show_placement(places: Places) -> PlacementRequest:
    placement, rules = places
    strategy = placement.value if placement else ""
    if rules is None:
        return PlacementRequest(strategy)
    beside = rules.alongside
    return PlacementRequest(
        strategy,
        [str(each) for each in rules.constraints],
        [AffinityRequest(str(each.constraint), each.weight) for each in rules.affinities],
        rules.spread_over,
        rules.max_per_node,
        rules.distinct_hosts,
        AlongsideRequest(beside.job, beside.network, beside.pid) if beside else None,
    )


def read_priority(priority: int, reading: Reading) -> int:
    if abs(priority) > MAX_PRIORITY:
        reading.wrong(f"{reading.name} is {priority}: give -{MAX_PRIORITY} to {MAX_PRIORITY}")
        return 0
    return priority
