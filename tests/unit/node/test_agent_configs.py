"""Tasks that get configs: read when the container is made, waited for while they are missing."""

import io
import tarfile

import pytest
from agent_kit import run

from orion.model.configs import Config, ConfigStat
from orion.model.container import File, Labels
from orion.model.errors import EngineError, Unavailable
from orion.model.folders import Entry, EntryKind, write_folder
from orion.model.ids import NodeId
from orion.model.job import ConfigRef, RestartMode, RestartPolicy
from sim.engine import SimEngineClient

ENV = ConfigRef("app/url", env="URL")
FILE = ConfigRef("app/conf", path="/etc/app.conf", mode=0o600, uid=101, gid=102)


class Noting(SimEngineClient):
    """Notes what containers are made of."""

    made = ()

    async def create(self, allocation, spec, labels, **named):
        self.made = (*self.made, spec)
        return await super().create(allocation, spec, labels, **named)


def config(key, value, version=5, folder=False):
    return Config(ConfigStat(key, version, len(value), 1, 1_000, folder), value)


def put(bench, key, value):
    bench.configs[key] = config(key, value)


def reasons(bench, identity):
    return [status.reason for allocation, status in bench.reports if allocation == identity]


def files(bench, identity):
    return bench.engine.files.get(bench.held(identity).shown.id, {})


def test_a_variable_and_a_file():
    async def main(bench):
        put(bench, "app/url", "http://\N{SNOWMAN}".encode())
        put(bench, "app/conf", b"\0\xff")
        web = bench.assign(configs=(ENV, FILE), env=(("Z", "1"), ("A", "2")))
        await bench.until(lambda: bench.running(web))
        assert bench.client.made[0].env == (("A", "2"), ("URL", "http://\N{SNOWMAN}"), ("Z", "1"))
        (file,) = files(bench, web).values()
        assert file == File("/etc/app.conf", b"\0\xff", 0o600, 101, 102, modified_s=1)
        assert bench.read == [("app/url", "app/conf")]

    run(main, engine_client=Noting)


SITE = (
    Entry("css", EntryKind.FOLDER, 0o750),
    Entry("css/a", EntryKind.FILE, 0o640, b"1"),
    Entry("latest", EntryKind.LINK, 0o777, target="css/a"),
)


def test_a_folder_is_given_below_its_path():
    async def main(bench):
        bench.configs["site"] = config("site", write_folder(SITE), folder=True)
        web = bench.assign(configs=(ConfigRef("site", path="/srv/www", mode=0o600, uid=101, gid=102),))
        await bench.until(lambda: bench.running(web))
        assert list(files(bench, web).values()) == [
            File("/srv/www/css", b"", 0o750, 101, 102, 1, EntryKind.FOLDER),
            File("/srv/www/css/a", b"1", 0o640, 101, 102, 1),
            File("/srv/www/latest", b"", 0o777, 101, 102, 1, EntryKind.LINK, "css/a"),
        ]

    run(main)


def hostile():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../passwd"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("value", "ref", "words"),
    [
        (hostile(), ConfigRef("site", path="/etc/x"), "config site is not a folder that can be given: '../passwd'"),
        (b"damaged", ConfigRef("site", path="/x"), "config site is not a folder that can be given"),
        (write_folder([Entry("hosts")]), ConfigRef("site", path="/etc"), "config site can't be given at /etc"),
        (write_folder(SITE), ConfigRef("site", env="SITE"), "can't be the variable SITE: it is a folder"),
    ],
)
def test_a_folder_that_can_t_be_given_is_told(value, ref, words):
    """Whoever put it may not have looked into it."""

    async def main(bench):
        bench.configs["site"] = config("site", value, folder=True)
        web = bench.assign(configs=(ref,))
        await bench.until(lambda: any(words in reason for reason in reasons(bench, web)))
        assert bench.held(web) is None

    run(main)


def test_a_version_is_asked_for_as_it_was_pinned():
    async def main(bench):
        put(bench, "app/url", b"new")
        bench.configs["app/url@5"] = config("app/url", b"old")
        web = bench.assign(configs=(ConfigRef("app/url", env="URL", version=5),))
        await bench.until(lambda: bench.running(web))
        assert bench.client.made[0].env == (("URL", "old"),)
        gone = bench.assign(2, configs=(ConfigRef("app/url", env="URL", version=4),))
        await bench.until(lambda: reasons(bench, gone))
        words = "config app/url is not kept at version 4: deploy the job again"
        await bench.until(lambda: words in reasons(bench, gone))

    run(main, engine_client=Noting)


def test_what_asks_for_none_reads_none():
    async def main(bench):
        web = bench.assign()
        await bench.until(lambda: bench.running(web))
        assert bench.read == []

    run(main)


def test_a_missing_config_is_waited_for_and_said():
    """Under a policy that gives up at once, too: it is no failure of the task's."""

    async def main(bench):
        put(bench, "app/url", b"x")
        web = bench.assign(configs=(ENV, FILE), restart=RestartPolicy(RestartMode.NO))
        await bench.until(lambda: len(bench.read) >= 6, seconds=120)
        assert "config app/conf does not exist: the task starts once it does" in reasons(bench, web)
        assert set(bench.states(web)) == {"starting"}
        assert bench.held(web) is None
        put(bench, "app/conf", b"there")
        await bench.until(lambda: bench.running(web))
        assert files(bench, web)["/etc/app.conf"].content == b"there"

    run(main)


def test_a_value_that_can_be_no_variable_is_waited_for_too():
    async def main(bench):
        web = bench.assign(configs=(ENV,))
        for value, words in ((b"\xff", "not UTF-8"), (b"a\0b", "zero byte"), (b"x" * 131_068, "give it as a file")):
            put(bench, "app/url", value)
            await bench.until(
                lambda words=words: any(words in reason for reason in reasons(bench, web)), seconds=60
            )
        put(bench, "app/url", b"fine")
        await bench.until(lambda: bench.running(web))

    run(main)


def test_without_the_cluster_nothing_starts():
    async def main(bench):
        put(bench, "app/url", b"x")
        bench.refuse = Unavailable("no leader")
        web = bench.assign(configs=(ENV,))
        await bench.until(lambda: len(bench.read) >= 3)
        assert bench.held(web) is None
        bench.refuse = None
        await bench.until(lambda: bench.running(web))

    run(main)


def test_a_restart_in_place_keeps_what_was_given():
    async def main(bench):
        put(bench, "app/conf", b"first")
        web = bench.assign(configs=(FILE,))
        await bench.until(lambda: bench.running(web))
        put(bench, "app/conf", b"second")
        held = bench.held(web)
        bench.engine.end(held, 1, "")
        await bench.until(lambda: held.runs == 2)
        assert files(bench, web)["/etc/app.conf"].content == b"first"
        assert len(bench.read) == 1

    run(main)


def test_a_container_that_was_made_and_not_started_gets_its_files():
    """The agent that made it died before it had put them."""

    async def main(bench):
        put(bench, "app/conf", b"here")
        web = bench.assign(configs=(FILE,), wanted=False)
        known = bench.assigned[web]
        labels = Labels(7, NodeId("node1"), known.allocation.job, 0, web)
        bench.engine.create(known.allocation, known.spec, labels, "left-behind")
        bench.wanted.add(web)
        bench.assign(configs=(FILE,))
        await bench.until(lambda: bench.running(web))
        assert files(bench, web)["/etc/app.conf"].content == b"here"

    run(main)


class Clumsy(SimEngineClient):
    """Fails once to put files."""

    failed = False

    async def put_files(self, container, files):
        if not self.failed:
            self.failed = True
            raise EngineError("no space left on device")
        await super().put_files(container, files)


def test_files_that_could_not_be_put_are_put_before_the_start():
    async def main(bench):
        put(bench, "app/conf", b"here")
        web = bench.assign(configs=(FILE,))
        await bench.until(lambda: bench.running(web))
        assert files(bench, web)["/etc/app.conf"].content == b"here"
        assert any("no space left" in reason for reason in reasons(bench, web))

    run(main, engine_client=Clumsy)
