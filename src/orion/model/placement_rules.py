"""Rules for the nodes of a task: which may have it, which are preferred, how many of its job one may have."""

import enum
import re

import msgspec

from orion.model.errors import shown
from orion.model.ids import JOB_NAME, JobName
from orion.model.labels import LABEL_KEY, LABEL_VALUE
from orion.model.levels import since
from orion.model.patterns import matches, pattern_error

MAX_CONSTRAINTS = 64  # of one task
MAX_AFFINITIES = 64
MAX_VALUES = 64  # of one constraint
MAX_WEIGHT = 100
MAX_PER_NODE = 1_000_000
MAX_PRIORITY = 100
_MAX_VALUE = 256  # characters of a label that a constraint looks at: a host name has at most 64
_MAX_VERSION_PARTS = 8


@since(2)
class Operator(enum.StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    IN = "in"
    NOT_IN = "not in"
    MATCHES = "~"
    EXISTS = "exists"
    NOT_EXISTS = "not exists"
    AT_LEAST = ">="
    MORE = ">"
    AT_MOST = "<="
    LESS = "<"


@since(2)
class Constraint(msgspec.Struct, frozen=True, array_like=True):
    """A rule for one label of a node. `values`: several for `in` and `not in`, none for `exists` and `not exists`,
    else one. A node without the label passes `!=`, `not in` and `not exists`, and no other.
    """

    label: str
    operator: Operator
    values: tuple[str, ...] = ()

    def passes(self, labels: dict[str, str]) -> bool:
        value = labels.get(self.label)
        if value is None or len(value) > _MAX_VALUE:
            return self.operator in _WITHOUT
        match self.operator:
            case Operator.EQUAL | Operator.IN:
                return value in self.values
            case Operator.NOT_EQUAL | Operator.NOT_IN:
                return value not in self.values
            case Operator.MATCHES:
                return matches(self.values[0], value)
            case Operator.EXISTS:
                return True
            case Operator.NOT_EXISTS:
                return False
            case Operator.AT_LEAST | Operator.MORE | Operator.AT_MOST | Operator.LESS:
                return self._compares(value)

    def _compares(self, value: str) -> bool:
        has, wants = version_of(value), version_of(self.values[0])
        if has is None or wants is None:
            return False
        match self.operator:
            case Operator.AT_LEAST:
                return has >= wants
            case Operator.MORE:
                return has > wants
            case Operator.AT_MOST:
                return has <= wants
            case _:
                return has < wants

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN | Operator.NOT_IN:
                return f"{self.label} {self.operator} ({', '.join(self.values)})"
            case Operator.EXISTS | Operator.NOT_EXISTS:
                return f"{self.label} {self.operator}"
            case _:
                return f"{self.label}{self.operator}{self.values[0]}"


_WITHOUT = frozenset({Operator.NOT_EQUAL, Operator.NOT_IN, Operator.NOT_EXISTS})
_VERSIONS = frozenset({Operator.AT_LEAST, Operator.MORE, Operator.AT_MOST, Operator.LESS})


@since(2)
class Affinity(msgspec.Struct, frozen=True, array_like=True):
    """Nodes that pass the constraint are better by `weight`, or worse where that is negative."""

    constraint: Constraint
    weight: int


@since(2)
class Alongside(msgspec.Struct, frozen=True, array_like=True):
    """The task goes where a task of `job` runs. With `network` its container has that one's network, with `pid` it
    sees that one's processes.
    """

    job: JobName
    network: bool = False
    pid: bool = False


@since(2)
class PlacementRules(msgspec.Struct, frozen=True, array_like=True):
    """All but labels that must be equal, which are a task's `constraints`. Of the tasks of a job those count that
    are of the same version and not about to end.
    """

    constraints: tuple[Constraint, ...] = ()
    affinities: tuple[Affinity, ...] = ()
    spread_over: str = ""  # a label: as many tasks with each of its values; "": no matter
    max_per_node: int = 0  # 0: no limit
    distinct_hosts: bool = False  # at most one on all nodes of one engine
    alongside: Alongside | None = None

    def pass_labels(self, labels: tuple[tuple[str, str], ...]) -> bool:
        """Returns whether a node with these labels passes all constraints."""
        if not self.constraints:
            return True
        found = dict(labels)
        return all(constraint.passes(found) for constraint in self.constraints)

    def weight(self, labels: dict[str, str]) -> int:
        """Returns how much better or worse than others a node with these labels is."""
        return sum(affinity.weight for affinity in self.affinities if affinity.constraint.passes(labels))

    @property
    def ranked(self) -> bool:
        """True when nodes that fit are not equal but for their load, or it matters where others of the job are."""
        return bool(self.affinities or self.spread_over or self.max_per_node or self.distinct_hosts)


def version_of(text: str) -> tuple[int, ...] | None:
    """Returns the numbers that a version begins with: 6.8 of v6.8.0-45-generic. Zeros at its end do not count, nor
    what comes behind the numbers. None for what is no version.
    """
    match = re.match(r"v?([0-9]{1,18}(?:\.[0-9]{1,18})*)", text)
    if not match:
        return None
    parts = [int(part) for part in match[1].split(".")[:_MAX_VERSION_PARTS]]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


# --- in text -----------------------------------------------------------------------------------------------

_WORDS = rf"(?P<label>{LABEL_KEY})\s+(?P<words>not\s+in|in|exists|not\s+exists)\s*(?:\((?P<values>.*)\))?"
_SIGNS = rf"(?P<label>{LABEL_KEY})\s*(?P<sign>==|=~|!=|>=|<=|=|~|>|<)\s*(?P<value>.*)"
_AS_SIGN = {"==": Operator.EQUAL, "=~": Operator.MATCHES}
# As `docker service create --constraint` calls what are labels here.
_DOCKERS = {
    "node.id": "id",
    "node.hostname": "hostname",
    "node.platform.os": "os",
    "node.platform.arch": "arch",
}
_PREFIXES = ("node.labels.", "engine.labels.")
MAX_CONSTRAINT = 4_096  # characters
_LIST = rf"\(\s*{LABEL_VALUE}\s*(,\s*{LABEL_VALUE}\s*){{0,{MAX_VALUES - 1}}}\)"
# What read_constraint takes, but for regular expressions that are none: these no pattern can tell.
CONSTRAINT_PATTERN = (
    rf"^\s*{LABEL_KEY}(\s+(not\s+)?exists|\s+(not\s+)?in\s*{_LIST}|\s*(==?|!=)\s*{LABEL_VALUE}|"
    r"\s*[<>]=?\s*v?[0-9][A-Za-z0-9._:/-]{0,126}|\s*=?~.*)\s*$"
)
HOW = "write it as in disk=ssd, zone!=a, 'zone in (a, b)', 'gpu exists', 'rack~^r[0-9]+$' or 'kernel>=6.1'"


def read_constraint(text: str) -> Constraint:
    """Returns the constraint that a text says. Raises ValueError with a sentence for a person."""
    if len(text) > MAX_CONSTRAINT:
        raise ValueError(f"{shown(text)} is longer than {MAX_CONSTRAINT:,} characters")
    bare = text.strip()
    if (found := re.fullmatch(_WORDS, bare)) is not None:
        operator, listed = Operator(" ".join(found["words"].split())), found["values"]
        if (operator in (Operator.EXISTS, Operator.NOT_EXISTS)) == (listed is not None):
            raise ValueError(f"{shown(text)} is no constraint: {HOW}")
        values = tuple(value.strip() for value in listed.split(",")) if listed is not None else ()
    elif (found := re.fullmatch(_SIGNS, bare)) is not None:
        operator, values = _AS_SIGN.get(found["sign"]) or Operator(found["sign"]), (found["value"],)
    else:
        raise ValueError(f"{shown(text)} is no constraint: {HOW}")
    made = Constraint(label_of(found["label"]), operator, values)
    if wrong := _values_error(made):
        raise ValueError(f"{shown(text)}: {wrong}")
    return made


def label_of(name: str) -> str:
    """Returns the label that is meant by a name, which may be as Docker has it. Raises ValueError."""
    if name == "node.role":
        raise ValueError("node.role: no node is a manager here, so none is a worker; give nodes labels instead")
    name = _DOCKERS.get(name, name)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if not re.fullmatch(LABEL_KEY, name):
        raise ValueError(f"{shown(name)} is not a label's name")
    return name


def _values_error(made: Constraint) -> str:
    if made.operator is Operator.MATCHES:
        wrong = pattern_error(made.values[0])
        return f"the pattern {wrong}" if wrong else ""
    if len(made.values) > MAX_VALUES:
        return f"has {len(made.values):,} values; a constraint can have {MAX_VALUES}"
    for value in made.values:
        if not re.fullmatch(LABEL_VALUE, value):
            return (
                f"{shown(value)} is not a label's value: use at most 128 letters, digits, '.', '_', ':', '/', '-'"
            )
        if made.operator in _VERSIONS and version_of(value) is None:
            return f"{shown(value)} is no version: write numbers with dots between them, as in 1.2"
    return ""


def rules_fault(rules: PlacementRules | None) -> str:
    """Says what no honest node writes, "" for nothing: what a constraint says is looked at with each node."""
    if rules is None:
        return ""
    if len(rules.constraints) > MAX_CONSTRAINTS or len(rules.affinities) > MAX_AFFINITIES:
        return "a task has too many constraints or affinities"
    all_of_them = (*rules.constraints, *(affinity.constraint for affinity in rules.affinities))
    if wrong := next(filter(None, map(_constraint_fault, all_of_them)), ""):
        return wrong
    if any(abs(affinity.weight) > MAX_WEIGHT for affinity in rules.affinities):
        return f"the weight of an affinity is more than {MAX_WEIGHT}"
    if not 0 <= rules.max_per_node <= MAX_PER_NODE:
        return f"max_per_node is {rules.max_per_node}"
    if rules.alongside is not None and not JOB_NAME.fullmatch(rules.alongside.job):
        return "alongside is no job's name"
    if rules.spread_over and not re.fullmatch(LABEL_KEY, rules.spread_over):
        return "spread_over is no label"
    return ""


def _constraint_fault(made: Constraint) -> str:
    many = made.operator in (Operator.IN, Operator.NOT_IN)
    none = made.operator in (Operator.EXISTS, Operator.NOT_EXISTS)
    if not many and len(made.values) != (0 if none else 1):
        return f"a constraint with {made.operator} has {len(made.values)} values"
    if not re.fullmatch(LABEL_KEY, made.label):
        return "a constraint is about no label"
    return _values_error(made)
