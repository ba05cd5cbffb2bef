"""node/network/as_seen_by.py: a name that is no job's for who asks may be other jobs' alias."""

from orion.model.dns import NO_SUCH_NAME, Forward, Question, Type
from orion.model.name_answers import Place, Port, Tasks, answer
from orion.node.network.as_seen_by import AsSeenBy
from orion.node.network.local_parts import Asker

FRONT, BACK = 1, 2


class Names:
    """`jobs`: by name and network. `aliases`: as Names.called gives them. `hidden`: jobs that nobody may see."""

    def __init__(self, jobs, aliases, hidden=()):
        self._jobs, self._aliases, self._hidden = jobs, aliases, hidden

    def tasks(self, job, networks):
        on = self._jobs.get(job, {})
        return next((on[number] for number in networks if number in on), None)

    def called(self, alias):
        return self._aliases.get(alias, [])

    def may_see(self, _asker, job):
        return job not in self._hidden

    def owner(self, _address, _networks):
        return None

    def is_ours(self, _address):
        return False


def tasks(*ips, port=80):
    ports = (Port(port),)
    return Tasks(
        len(ips), tuple(Place(slot, (bytes((10, 0, 0, ip)),), ports) for slot, ip in enumerate(ips)), ports
    )


JOBS = {
    "web": {FRONT: tasks(1, 2), BACK: tasks(11, 12)},
    "blue": {FRONT: tasks(3, port=81)},
    "db": {BACK: tasks(21)},
    "both": {BACK: tasks(31)},
}
ALIASES = {
    "api": [("blue", (FRONT,)), ("web", (FRONT, BACK))],
    "one": [("web", (BACK,))],
    "db": [("web", (FRONT, BACK))],
    "none": [("web", ())],
}


def found(name, *networks, hidden=(), kind=Type.A):
    asker = AsSeenBy(Names(JOBS, ALIASES, hidden), Asker(networks, "me"))
    given = answer(Question(f"{name}.orion.internal", kind), asker, 1)
    if given is NO_SUCH_NAME:
        return None
    return sorted(address[3] for address in given.addresses)


def test_an_alias_is_all_jobs_that_have_it_on_the_networks_of_who_asks():
    assert found("api", FRONT) == [1, 2, 3]
    assert found("api", BACK) == [11, 12]
    assert found("api", BACK, FRONT) == [3, 11, 12], "each on the first that it shares"
    assert found("one", FRONT) is None
    assert found("one", FRONT, BACK) == [11, 12], "where it is its alias, not where it is a name"
    assert found("none", FRONT, BACK) is None
    assert found("nobody", FRONT, BACK) is None


def test_a_job_that_may_be_seen_has_its_name_before_aliases():
    assert found("db", BACK) == [21]
    assert found("db", FRONT) == [1, 2], "there is no such job on its network"
    assert found("db", BACK, hidden=("db",)) == [11, 12]
    assert found("api", FRONT, hidden=("web",)) == [3]


def test_a_slot_of_an_alias_is_that_of_each():
    assert found("0.api", FRONT) == [1, 3]
    assert found("1.api", FRONT) == [2]
    assert found("2.api", FRONT) is None
    asker = AsSeenBy(Names(JOBS, ALIASES), Asker((FRONT,), "me"))
    given = answer(Question("_81._tcp.api.orion.internal", Type.SRV), asker, 1)
    assert [(each.target, each.port) for each in given.services] == [("0.api.orion.internal", 81)]
    assert isinstance(answer(Question("nobody", Type.A), asker, 1), Forward)
    assert len(answer(Question("api", Type.A), asker, 1).addresses) == 3, "a bare one, too"
