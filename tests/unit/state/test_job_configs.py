"""state/tables/job_configs.py: versions of jobs have the configs that were there when they were asked for."""

from msgspec.structs import replace
from rollout_kit import Rollout

from orion.model.configs import MAX_VALUE_BYTES
from orion.model.errors import Refused
from orion.model.job import ConfigRef
from orion.model.levels import LEVEL
from orion.model.limits import MAX_STRING_BYTES
from orion.state.check import check, rebuilt
from orion.state.rollouts import KEPT_VERSIONS
from orion.state.tables import job_configs
from orion.state.tables.configs import PutConfig
from orion.state.tables.job_configs import KeptConfigs, find

REFS = (ConfigRef("app/a", path="/etc/a", mode=0o644),)


class Configured(Rollout):
    def value(self, version, name="web"):
        (ref,) = self.view.job_record(name).spec(version).configs
        return find(self.view, ref.key, ref.version).value

    @property
    def kept(self):
        return list(self.view.of(KeptConfigs).rows)


def configured():
    world = Configured(2)
    world.put("app/a", b"one")
    world.deploy(configs=REFS)
    world.run()
    return world


def test_a_version_has_the_config_as_it_was():
    world = configured()
    world.put("app/a", b"two")
    assert world.value(0) == b"one"
    assert world.view.job("web").version == 0, "nothing changes by itself"
    world.deploy(configs=REFS)
    assert world.view.job("web").version == 1
    world.run()
    assert (world.value(0), world.value(1)) == (b"one", b"two")
    assert len(world.kept) == 2


def test_the_same_job_with_the_same_config_is_no_change():
    world = configured()
    world.deploy(configs=REFS)
    assert world.view.job("web").version == 0


def test_a_rollback_brings_the_former_content_back_though_its_key_is_gone():
    world = configured()
    world.put("app/a", b"two")
    world.deploy(configs=REFS)
    world.run()
    world.delete("app/a")
    world.roll_back()
    world.run()
    assert world.view.job("web").version == 0
    assert world.value(0) == b"one"


def test_a_version_that_fails_goes_back_to_the_former_content():
    world = configured()
    world.put("app/a", b"bad")
    world.deploy(configs=REFS)

    def fails(each):
        return {"state": "failed", "reason": "bad"} if each.job_version == 1 and each.wanted else None

    assert world.run(fails).state == "rolled-back"
    assert world.value(world.view.job("web").version) == b"one"


def test_what_does_not_exist_yet_has_no_version():
    world = Configured(2)
    world.deploy(configs=REFS)
    assert world.view.job("web").task.configs == REFS
    assert world.kept == []
    world.put("app/a", b"one")
    world.deploy(configs=REFS)
    assert world.view.job("web").version == 1
    assert world.value(1) == b"one"


def test_a_version_that_is_asked_for_has_to_be_kept():
    world = configured()
    (kept,) = world.view.job("web").task.configs
    world.put("app/a", b"two")
    world.deploy(configs=(kept,), env=(("A", "1"),))
    assert (world.view.job("web").version, world.value(1)) == (1, b"one")
    refused = world.deploy(configs=(replace(kept, version=9_999),)).result
    assert isinstance(refused, Refused)
    assert "config app/a is not kept at version 9999" in refused.detail


def test_versions_that_nobody_needs_go_with_their_configs():
    world = configured()
    for number in range(20):
        world.put("app/a", b"%d" % number)
        world.deploy(configs=REFS)
        world.run()
    record = world.view.job_record("web")
    assert len(world.kept) == len(record.rollout.specs) + 1 == KEPT_VERSIONS + 1
    assert {world.value(version) for version in (*record.rollout.specs, record.job.version)} <= {
        b"%d" % number for number in range(20)
    }


def test_what_two_jobs_have_goes_with_the_last_of_them():
    world = configured()
    world.deploy("other", configs=REFS)
    (row,) = world.view.of(KeptConfigs).rows.values()
    assert row.jobs == ("other", "web")
    for name, left in (("web", [("other",)]), ("other", [])):
        world.rm(name)
        for each in world.active(name) if world.view.job_record(name) else ():
            world.report(each, "stopped")
        assert [row.jobs for row in world.view.of(KeptConfigs).rows.values()] == left


def test_it_is_the_same_after_a_snapshot():
    world = configured()
    world.put("app/a", b"two")
    world.deploy(configs=REFS)
    world.run()
    again = rebuilt(world.state)
    check(again)
    assert list(again.of(KeptConfigs).rows.items()) == list(world.state.of(KeptConfigs).rows.items())


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(job_configs, "MAX_KEPT_BYTES", 10)
    world = Configured(2)
    world.put("app/a", b"x" * 20)
    refused = world.deploy(configs=REFS).result
    assert isinstance(refused, Refused)
    assert "can have 10 bytes together, and have 0; web adds 25" in refused.detail


def large(world, count, size=MAX_VALUE_BYTES):
    world.state.level = LEVEL
    for number in range(count):
        world.put(f"large/{number}", bytes(size))
    return tuple(ConfigRef(f"large/{number}", path=f"/{number}") for number in range(count))


def test_what_one_task_gets_has_a_bound():
    world = Configured(2)
    refs = large(world, 9)
    refused = world.deploy(configs=refs).result
    assert isinstance(refused, Refused)
    assert refused.detail == "the configs of web have 9,437,184 bytes together; a task gets at most 8,388,608"
    again = ConfigRef("large/0", path="/again")
    assert world.deploy(configs=(*refs[:8], again)).result == "web", "what is given twice is held once"


def test_a_variable_is_no_longer_than_linux_allows():
    world = Configured(2)
    large(world, 1, MAX_STRING_BYTES - len("A="))
    assert world.deploy(configs=(ConfigRef("large/0", env="A"),)).result == "web"
    refused = world.deploy(configs=(ConfigRef("large/0", env="AB"),)).result
    assert refused.detail == (
        "config large/0 has 131,069 bytes, more than Linux allows in variable AB of web: give it as a file"
    )


def test_a_folder_is_no_variable_and_is_kept_as_one():
    world = Configured(2)
    world.state.level = LEVEL
    world.do(PutConfig(1, "app/a", b"tar", None, "folder", world.index, True))
    assert world.deploy(configs=REFS).result == "web"
    (row,) = world.view.of(KeptConfigs).rows.values()
    assert row.config.stat.folder
    check(rebuilt(world.state))
    refused = world.deploy(configs=(ConfigRef("app/a", env="A"),)).result
    assert refused.detail == "config app/a is a folder, which can't be variable A of web"
