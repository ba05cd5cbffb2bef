"""Names as one sees them who asks."""

from orion.model.ids import JobName
from orion.model.name_answers import Tasks
from orion.node.network.local_parts import Asker
from orion.node.network.names import Names


class AsSeenBy:
    """Fulfils `Known` of model/name_answers.py. A name that is no job's for who asks may be an alias of some."""

    def __init__(self, names: Names, asker: Asker) -> None:
        self._names = names
        self._asker = asker

    def tasks(self, job: JobName) -> Tasks | None:
        found = self._of_job(job, self._asker.networks)
        return found if found is not None else self._of_alias(job)

    def owner(self, address: bytes) -> tuple[JobName, int] | None:
        found = self._names.owner(address, self._asker.networks)
        return found if found is not None and self._names.may_see(self._asker.job, found[0]) else None

    def is_ours(self, address: bytes) -> bool:
        return self._names.is_ours(address)

    def _of_job(self, job: JobName, networks: tuple[int, ...]) -> Tasks | None:
        found = self._names.tasks(job, networks)
        return found if found is not None and self._names.may_see(self._asker.job, job) else None

    def _of_alias(self, alias: str) -> Tasks | None:
        """All that have it as if they were one job: a slot is that of each."""
        own = self._asker.networks
        called = self._names.called(alias)
        each = [self._of_job(job, tuple(number for number in own if number in on)) for job, on in called]
        found = [tasks for tasks in each if tasks is not None]
        if len(found) < 2:
            return found[0] if found else None
        ports = dict.fromkeys(port for tasks in found for port in tasks.ports)
        places = tuple(place for tasks in found for place in tasks.ready)
        return Tasks(max(tasks.slots for tasks in found), places, tuple(ports))
