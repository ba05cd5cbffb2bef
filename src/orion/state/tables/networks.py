"""Networks by name. The default one is no row: it is there while the setting is."""

from collections.abc import Iterable

from orion.model.errors import Refused
from orion.model.ids import JobName
from orion.model.job import TaskSpec
from orion.model.levels import since
from orion.model.network import DEFAULT, DEFAULT_NUMBER, MAX_NUMBER, NETWORK_NAME, Network
from orion.state.core.frames import Rows
from orion.state.core.indexes import SortedKeys
from orion.state.core.table import KeyedTable, TableSet
from orion.state.records import Tables

_SHOWN = 20  # names in an error


@since(2)
class NetworksFrame(Rows, frozen=True, array_like=True, tag=17):
    """By name."""

    rows: list[Network]


class Networks(KeyedTable[str, Network]):
    """`version` grows with every change, and is compared for equality alone."""

    rows_frame = NetworksFrame

    def __init__(self, state: TableSet) -> None:
        self._names = SortedKeys()
        super().__init__(state, self._names)
        self.version = 0

    @staticmethod
    def key(row: Network) -> str:
        return row.name

    @staticmethod
    def can_be(row: Network) -> bool:
        known = row.name != DEFAULT and NETWORK_NAME.fullmatch(row.name) is not None
        return known and DEFAULT_NUMBER < row.number <= MAX_NUMBER

    def ordered(self) -> list[str]:
        return self._names.keys

    def put(self, row: Network) -> None:
        super().put(row)
        self.version += 1

    def drop(self, key: str) -> None:
        super().drop(key)
        self.version += 1

    def number(self, name: str) -> int | None:
        """Returns None where there is no such network."""
        if name == DEFAULT:
            return DEFAULT_NUMBER
        row = self.get(name)
        return row.number if row is not None else None

    def numbers(self, task: TaskSpec) -> tuple[int, ...]:
        """Returns those of the networks that a task is on, in its order."""
        return tuple(number for name in task.network_names if (number := self.number(name)) is not None)


def missing_network(state: Tables, job: JobName, task: TaskSpec) -> Refused | None:
    """Refuses a task on a network that there is not."""
    networks = state.of(Networks)
    name = next((each for each in task.networks if networks.number(each) is None), None)
    if name is None:
        return None
    there = _listed((DEFAULT, *networks.ordered()))
    return Refused(
        f"{job} asks for a network {name}, which there is not; there are: {there}. 'orion network create {name}'"
        " makes it"
    )


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else "")


TABLES = (Networks,)
COMMANDS = ()
