"""`orion top` over real nodes: what runs is seen, what is done there is done, and it outlives the node it asks."""

import pytest

from orion.model.api.watch import Noun
from orion.tui.app import Top
from orion.tui.feed import Feed
from orion.tui.settings import SettingsFile
from unit.tui.scripted import piloted, press, text_on, until

pytestmark = pytest.mark.engine


def top(cluster, tmp_path):
    addresses = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes[:1])
    return Top(Feed(addresses), SettingsFile(tmp_path / "top.toml"))


@piloted
async def look_and_act(app):
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "jobs [1]" in text_on(app))
        await press(pilot, "enter")
        await until(pilot, lambda: "web/1" in text_on(app) and "tasks of job web [2]" in text_on(app))
        await press(pilot, "l")
        await until(pilot, lambda: "hello from" in text_on(app))
        await press(pilot, "escape", "escape")
        await press(pilot, "s", "backspace", "3", "enter")
        await until(pilot, lambda: app.cluster.store.tables[Noun.JOBS]["web"].running == 3)


def test_tasks_are_seen_their_output_read_and_a_job_scaled(one, busybox_image, tmp_path):
    words = ["sh", "-c", "echo hello from $HOSTNAME; exec sleep 10000"]
    one.any().ask("PUT", "/jobs/web", {"image": busybox_image, "command": words, "count": 2})
    one.wait_task("web/1", "running")
    look_and_act(top(one, tmp_path))
    one.wait_task("web/2", "running")


@piloted
async def measure_and_go_back(app):
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "jobs [1]" in text_on(app))
        app.browser.narrow("-l tier!=front")
        await until(pilot, lambda: "jobs [0 of 1]" in text_on(app))
        app.browser.narrow("-l tier=front")
        await until(pilot, lambda: "jobs [1]" in text_on(app))
        await press(pilot, "escape", "colon", *"top", "enter")
        await until(pilot, lambda: "use of all tasks" in text_on(app) and "web/0" in text_on(app))
        await press(pilot, "escape", "ctrl+l")
        await until(pilot, lambda: "to which version?" in text_on(app))
        assert "env" in text_on(app)
        await press(pilot, "0", "enter")
        await until(pilot, lambda: "Rollback web?" in text_on(app))
        assert 'env.DEBUG: "1" -> (none)' in text_on(app)
        await press(pilot, "y")
        await until(pilot, lambda: app.cluster.store.tables[Noun.JOBS]["web"].version != 1)


def test_use_is_measured_and_a_rollback_says_what_it_changes(one, busybox_image, tmp_path):
    job = {"image": busybox_image, "command": ["sleep", "10000"], "memory": 64 << 20, "labels": {"tier": "front"}}
    one.any().ask("PUT", "/jobs/web", job)
    one.wait_task("web/0", "running")
    one.any().ask("PUT", "/jobs/web", {**job, "env": {"DEBUG": "1"}})
    measure_and_go_back(top(one, tmp_path))


@piloted
async def outlive(app, kill):
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.cluster.store.index and "nodes 3" in text_on(app))
        await press(pilot, "colon", *"nodes", "enter")
        kill()
        await until(pilot, lambda: app.cluster.moves > 0)  # what it says of that others say more of
        await until(pilot, lambda: "dead" in text_on(app) and app.cluster.trouble == "" and app.cluster.age_s < 5)


def test_the_node_that_is_asked_is_killed_and_another_one_that_was_seen_goes_on(shared, tmp_path):
    shared.grow_to(3)
    app = top(shared, tmp_path)
    outlive(app, shared.nodes[0].kill)
    assert app.cluster.address != f"127.0.0.1:{shared.nodes[0].port}"


def test_once_prints_the_pulses_for_scripts(one, capsys):
    from orion.cli.app import run

    assert run(["top", "--once", "--port", str(one.any().port)]) == 0
    assert "node1" in capsys.readouterr().out
