"""Other names of jobs: three hosts with real engines."""

from collections.abc import Iterator

import pytest

from e2e.test_cluster_network import HOSTS, system_job
from support import images
from support.lab_containers import Container, deployed, switch_on, wait_for_bridges
from support.lab_nodes import LabNodes, lab_hosts

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.fixture
def lab() -> Iterator[LabNodes]:
    with lab_hosts(len(HOSTS), images.busybox) as made:
        yield made


def known_as(askers: list[Container], name: str) -> set[frozenset[str]]:
    return {frozenset(each.look_up(name)) for each in askers}


def all_of(*jobs: list[Container]) -> set[frozenset[str]]:
    return {frozenset(each.address for job in jobs for each in job)}


def test_an_alias_is_all_tasks_of_the_jobs_that_have_it(lab: LabNodes) -> None:
    switch_on(lab)
    wait_for_bridges(lab)
    lab.ask(1, "POST", "/networks", {"name": "front"})
    blue = deployed(lab, "blue", system_job(networks=["front"], networkAliases=[{"name": "api"}]))
    app = deployed(lab, "app", system_job(networks=["front"]))
    other = deployed(lab, "other", system_job())
    assert len(blue) == len(app) == len(HOSTS)
    for name in ("api", "api.orion.internal"):
        lab.wait(lambda name=name: known_as(app, name) == all_of(blue), f"{name} to be blue")
        assert known_as(other, name) == {frozenset()}, "it is on another network"

    # Another job takes over.
    alias = {"name": "api", "network": "front"}
    green = deployed(lab, "green", system_job(networks=["front", "default"], networkAliases=[alias]))
    lab.wait(lambda: len(known_as(app, "api").pop()) == 2 * len(HOSTS), "both to be api")
    lab.wait(lambda: frozenset() not in known_as(other, "green.orion.internal"), "others to know it by its name")
    assert known_as(other, "api.orion.internal") == {frozenset()}, "there it is no alias"
    blue = deployed(lab, "blue", system_job(networks=["front"]))
    lab.wait(lambda: known_as(app, "api") == all_of(green), "green alone to be api")
    lab.wait(lambda: known_as(app, "blue") == all_of(blue), "blue to be known by its name")

    with pytest.raises(OSError, match="blue is a job's name"):
        lab.ask(1, "PUT", "/jobs/app", system_job(networkAliases=[{"name": "blue"}]))
    api = deployed(lab, "api", system_job(networks=["front"]))
    lab.wait(lambda: known_as(app, "api") == all_of(api), "the job to have its name before an alias")
