"""Volumes of orion-csi-dir, a process of its own, through real nodes: made, grown, copied and removed, once each,
whatever is killed meanwhile.
"""

import contextlib
import json
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.command import orion
from support.csi import PluginProcess
from support.csi_faults import FaultyPlugin, in_a_thread
from support.nodes import NO_ENGINE, Cluster, Problem, cluster

DIR = "dir.csi.orion.dev"
MB = 1_000_000
SEED = int(os.environ.get("ORION_CSI_SEED", "1"))
TURNS = int(os.environ.get("ORION_CSI_TURNS", "100"))
SECRET = "a-value-that-nobody-sees"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugin")


@pytest.fixture(scope="module")
def plugin(folder: Path) -> Iterator[PluginProcess]:
    with PluginProcess(folder) as made:
        yield made


@pytest.fixture(scope="module")
def three(plugin: PluginProcess) -> Iterator[Cluster]:
    with cluster([NO_ENGINE] * 3, "--csi-socket", str(plugin.socket)) as made:
        made.grow_to(3, engines=False)
        made.wait(lambda: all(each["healthy"] for each in plugins(made)), "the plugin")
        yield made


def plugins(made: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.any().ask("GET", "/plugins")
    labels = [made.any().ask("GET", f"/nodes/{each.name}")["labels"] for each in made.nodes]
    return found if all(f"csi.{DIR}" in each for each in labels) else [{"healthy": False}]


def volume(made: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = made.any().ask("GET", f"/volumes/{name}")
    return found


def run(made: Cluster, *words: str) -> str:
    code, out, err = orion(made.any(), *words)
    assert code == 0, f"{words}: {out}{err}"
    return out


def fails(made: Cluster, *words: str) -> str:
    code, _, err = orion(made.any(), *words)
    assert code == 1, f"{words}: {code}, {err}"
    return err


def ids(plugin: PluginProcess | FaultyPlugin, kind: str = "volumes") -> list[str]:
    """Those that the plugin has."""
    return sorted(each.name for each in (plugin.root / kind).iterdir())


def is_gone(made: Cluster, path: str) -> bool:
    try:
        made.any().ask("GET", path)
    except Problem as problem:
        return problem.status == 404
    return False


def test_a_volume_is_made_grown_and_removed(three: Cluster, plugin: PluginProcess) -> None:
    before = ids(plugin)
    assert run(three, "volume", "create", "data", "--driver", DIR, "--size", "1MB") == "data\n"
    shown = volume(three, "data")
    assert (shown["kind"], shown["state"], shown["driver"]) == ("csi", "ready", DIR)
    assert shown["storage"]["hasBytes"] == MB
    assert [*before, shown["storage"]["id"]] == sorted(ids(plugin), key=lambda each: each not in before)
    run(three, "volume", "create", "data", "--driver", DIR, "--size", "1MB")
    assert len(ids(plugin)) == len(before) + 1, "the same again is the same"
    err = fails(three, "volume", "create", "data", "--driver", DIR, "--size", "2MB")
    assert "a volume data is there already, with other terms (size)" in err
    err = fails(three, "volume", "create", "more", "--driver", "nfs.csi")
    assert f"no node has a storage plugin 'nfs.csi' with a controller; there are: {DIR}" in err
    run(three, "volume", "expand", "data", "2MB")
    assert volume(three, "data")["storage"]["hasBytes"] == 2 * MB
    assert "no volume shrinks" in fails(three, "volume", "expand", "data", "1MB")
    lines = run(three, "volume", "ls").splitlines()
    assert lines[1].split()[:6] == ["data", DIR, "-", "ready", "2", "MB"]
    assert run(three, "volume", "rm", "data") == "data\n"
    assert ids(plugin) == before
    assert is_gone(three, "/volumes/data")


def test_a_plugin_that_does_not_answer_is_named_with_its_sockets(three: Cluster, plugin: PluginProcess) -> None:
    plugin.end()
    three.wait(lambda: not any(labels(three)), "the nodes to see that the plugin is away")
    err = fails(three, "volume", "create", "late", "--driver", DIR)
    assert f"no node has a storage plugin '{DIR}' with a controller that works; it does not work where it is" in err
    assert f"node1 at {plugin.socket}: " in err
    assert "start it there" in err
    plugin.start()
    three.wait(lambda: all(each["healthy"] for each in plugins(three)), "the plugin")
    run(three, "volume", "create", "late", "--driver", DIR, "--size", "1MB")
    run(three, "volume", "rm", "late")


def test_what_was_refused_is_removed_without_a_word_of_that(three: Cluster) -> None:
    err = fails(three, "volume", "create", "blue", "--driver", DIR, "--parameter", "colour=blue")
    assert "parameter 'colour' is not known. Change what is asked of the volume" in err
    assert orion(three.any(), "volume", "rm", "blue") == (0, "blue\n", "")
    assert is_gone(three, "/volumes/blue")


def labels(made: Cluster) -> list[bool]:
    """Returns for each node whether the cluster knows that it has the plugin."""
    return [f"csi.{DIR}" in made.any().ask("GET", f"/nodes/{each.name}")["labels"] for each in made.nodes]


def test_snapshots_and_copies_hold_what_was_in_the_volume(three: Cluster, plugin: PluginProcess) -> None:
    run(three, "volume", "create", "rows", "--driver", DIR, "--size", "1MB")
    place = plugin.root / "volumes" / volume(three, "rows")["storage"]["id"] / "data"
    (place / "row").write_text("1")
    assert run(three, "volume", "snapshot", "rows", "monday") == "monday\n"
    (place / "row").write_text("2")
    run(three, "volume", "create", "back", "--driver", DIR, "--from", "snapshot:monday")
    run(three, "volume", "create", "copy", "--driver", DIR, "--from", "volume:rows")
    for name, row in (("back", "1"), ("copy", "2")):
        shown = volume(three, name)["storage"]
        assert (plugin.root / "volumes" / shown["id"] / "data" / "row").read_text() == row
        assert shown["hasBytes"] == MB
    assert run(three, "volume", "snapshots").splitlines()[-1].split()[:4] == ["monday", "rows", DIR, "ready"]
    run(three, "volume", "rm", "rows", "back", "copy")
    assert run(three, "volume", "snapshot-rm", "monday") == "monday\n"
    assert ids(plugin, "snapshots") == []
    assert is_gone(three, "/volume-snapshots/monday")


def test_what_the_plugin_refuses_is_told_and_can_be_removed(three: Cluster, plugin: PluginProcess) -> None:
    before = ids(plugin)
    words = ("volume", "create", "odd", "--driver", DIR, "--parameter", "color=red")
    for _ in range(2):  # again is another try
        code, out, err = orion(three.any(), *words)
        assert (code, out) == (1, "")
        assert "odd is not made: plugin" in err
        assert "parameter 'color' is not known" in err
    assert "parameter 'color' is not known" in volume(three, "odd")["storage"]["why"]
    assert "parameter 'color' is not known" in orion(three.any(), "volume", "ls")[2]
    run(three, "volume", "rm", "odd")
    assert ids(plugin) == before


def test_a_plugin_that_is_away_for_a_while(three: Cluster, plugin: PluginProcess) -> None:
    before = ids(plugin)
    run(three, "volume", "create", "kept", "--driver", DIR)
    plugin.end()
    try:
        three.any().ask("POST", "/volumes", {"name": "late", "driver": DIR})
        three.any().ask("DELETE", "/volumes/kept")
        three.wait(lambda: volume(three, "kept")["storage"]["why"], "a reason")
        assert volume(three, "kept")["state"] == "removing"
        assert volume(three, "late")["state"] == "making"
    finally:
        plugin.start()
    three.wait(lambda: volume(three, "late")["state"] == "ready", "it to be made")
    three.wait(lambda: is_gone(three, "/volumes/kept"), "it to be gone")
    assert len(ids(plugin)) == len(before) + 1
    run(three, "volume", "rm", "late")


def test_one_that_was_there_before_is_taken_and_never_deleted(three: Cluster, plugin: PluginProcess) -> None:
    run(three, "volume", "create", "first", "--driver", DIR)
    there = volume(three, "first")["storage"]["id"]
    run(three, "volume", "rm", "--force", "first")
    assert there in ids(plugin), "it was forgotten"
    run(three, "volume", "create", "again", "--driver", DIR, "--id", there)
    assert volume(three, "again")["storage"]["id"] == there
    run(three, "volume", "rm", "again")
    assert there in ids(plugin)
    words = ("volume", "create", "none", "--driver", DIR, "--id", "none")
    run(three, *words, "--detach")
    three.wait(lambda: "NOT_FOUND" in volume(three, "none")["storage"]["why"], "the plugin's answer")
    code, _, err = orion(three.any(), *words, "--wait-timeout", "2")
    assert code == 4
    assert "NOT_FOUND" in err
    run(three, "volume", "rm", "none")


def test_no_secret_is_seen_anywhere(three: Cluster, folder: Path) -> None:
    seen = []
    for words in (
        ("create", "safe", "--driver", DIR, "--secret", f"key={SECRET}"),
        ("create", "safe", "--driver", DIR, "--secret", f"key={SECRET}"),
        ("create", "safe", "--driver", DIR, "--secret", "key=other"),
        ("create", "bad", "--driver", DIR, "--secret", f"key={SECRET}", "--parameter", "a=b", "--detach"),
        ("ls",),
        ("inspect", "safe"),
        ("snapshot", "safe", "kept"),
        ("snapshots",),
        ("snapshot-rm", "kept"),
        ("expand", "safe", "2MB"),
        ("rm", "safe", "bad"),
    ):
        seen += [str(orion(three.any(), "volume", *words))]
    assert '"secrets": 1' in seen[5]
    for node in three.nodes:
        for path in (
            "/volumes",
            "/events?after=0.0&follow=0",
            "/plugins",
            "/metrics",
            "/raft",
            "/volume-snapshots",
        ):
            seen.append(str(node.ask("GET", path)))
        seen.append(node.log_file.read_text())
    saved = str(folder / "saved")
    for words in (("snapshot", "save", saved), ("snapshot", "inspect", saved), ("events",), ("raft",)):
        seen.append(str(orion(three.any(), *words)))
    body = {"name": "safe", "driver": DIR, "secrets": {"key": [SECRET]}}
    with pytest.raises(Problem) as refused:
        three.any().ask("POST", "/volumes", body)
    seen.append(json.dumps(refused.value.body))
    assert not [each for each in seen if SECRET in each]


def is_ready(made: Cluster, path: str, size: int = 0) -> bool:
    found = made.any().ask("GET", path)
    return bool(found["state"] == "ready" and found.get("storage", {}).get("hasBytes", size) >= size)


def test_the_next_leader_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    """The leader dies while the plugin is at each of its calls, before its work and after it."""
    faulty = FaultyPlugin(tmp_path, SEED, 0.0)
    new = {"name": "data", "driver": DIR, "sizeBytes": MB}
    with in_a_thread(faulty), cluster([NO_ENGINE] * 3, "--csi-socket", str(faulty.socket)) as made:
        made.grow_to(3, engines=False)
        made.wait(lambda: all(each["healthy"] for each in plugins(made)), "the plugin")
        for when in ("before", "after"):
            for call, asked, then in (
                ("CreateVolume", ("POST", "/volumes", new), partial(is_ready, made, "/volumes/data")),
                (
                    "ControllerExpandVolume",
                    ("POST", "/volumes/data/expand", {"sizeBytes": 2 * MB}),
                    partial(is_ready, made, "/volumes/data", 2 * MB),
                ),
                (
                    "CreateSnapshot",
                    ("POST", "/volume-snapshots", {"volume": "data", "name": "kept"}),
                    partial(is_ready, made, "/volume-snapshots/kept"),
                ),
                (
                    "DeleteSnapshot",
                    ("DELETE", "/volume-snapshots/kept", None),
                    partial(is_gone, made, "/volume-snapshots/kept"),
                ),
                ("DeleteVolume", ("DELETE", "/volumes/data", None), partial(is_gone, made, "/volumes/data")),
            ):
                faulty.hold(f"{when} {call}")
                leader = made.wait(made.leader, "a leader")
                next(each for each in made.nodes if each is not leader).ask(*asked)
                assert faulty.holds.wait(30), f"{call} is made"
                leader.kill()
                faulty.release()
                made.wait(then, f"{call} to be over")
                volumes, snapshots = (len(ids(faulty, kind)) for kind in ("volumes", "snapshots"))
                assert (volumes, snapshots) == (call != "DeleteVolume", call == "CreateSnapshot"), call
                leader.start(*made.joining(leader))
                made.wait_settled(3, engines=False)


def test_a_plugin_that_fails_loses_nothing_and_makes_nothing_twice(tmp_path: Path) -> None:
    """Three of ten calls go wrong; leaders die meanwhile. In the end the plugin has what the cluster says."""
    faulty = FaultyPlugin(tmp_path, SEED, 0.3)
    faulty.weights = (8, 6, 3, 0, 0, 1, 4)  # nobody waits for two minutes here
    rng = random.Random(SEED)
    with in_a_thread(faulty), cluster([NO_ENGINE] * 3, "--csi-socket", str(faulty.socket)) as made:
        made.grow_to(3, engines=False)
        made.wait(lambda: all(each["healthy"] for each in plugins(made)), "the plugin")
        for turn in range(TURNS):
            change(made, rng)
            made.wait(lambda: len(begun(made)) < 4, "the plugin to be asked")
            if turn % 20 == 19:
                leader = made.wait(made.leader, "a leader")
                leader.kill()
                leader.start(*made.joining(leader))
        made.wait_settled(3, engines=False)
        faulty.rate, faulty.version = 0.0, "2"  # a refusal for good may be another one's now
        faulty.restart()
        made.wait(lambda: settled(made), "all to be as it was asked for", deadline_s=300)
        volumes, snapshots = (made.any().ask("GET", path) for path in ("/volumes", "/volume-snapshots"))
        root = faulty.root
        assert sorted(each["storage"]["id"] for each in volumes) == sorted(
            each.name for each in (root / "volumes").iterdir()
        )
        assert sorted(each["id"] for each in snapshots) == sorted(
            each.name for each in (root / "snapshots").iterdir()
        )
        assert volumes
        assert faulty.faults > 2


def change(made: Cluster, rng: random.Random) -> None:
    """One that people ask for, which may be refused."""
    name, other = (f"v{rng.randrange(8)}" for _ in range(2))
    kept = f"s{rng.randrange(3)}"
    source = rng.choice(["", "", f"volume:{other}", f"snapshot:{kept}"])
    asked = [
        ("POST", "/volumes", {"name": name, "driver": DIR, "source": source}),
        ("POST", "/volumes", {"name": other, "driver": DIR, "sizeBytes": MB}),
        ("POST", f"/volumes/{name}/expand", {"sizeBytes": rng.randrange(1, 4) * MB}),
        ("DELETE", f"/volumes/{name}", None),
        ("POST", "/volume-snapshots", {"volume": name, "name": kept}),
        ("DELETE", f"/volume-snapshots/{kept}", None),
    ]
    with contextlib.suppress(Problem, OSError):  # refused, or its node has yet to listen
        made.any().ask(*rng.choice(asked))


def begun(made: Cluster) -> list[dict[str, Any]]:
    """Those of which nobody has heard yet how it went."""
    found = [*made.any().ask("GET", "/volumes"), *made.any().ask("GET", "/volume-snapshots")]
    return [each for each in found if each["state"] != "ready" and not each.get("storage", each)["why"]]


def settled(made: Cluster) -> bool:
    """Raises Problem, whose words a wait shows, naming what is not."""
    found = [*made.any().ask("GET", "/volumes"), *made.any().ask("GET", "/volume-snapshots")]
    for each in found:
        if each["state"] != "ready":
            raise Problem(0, {"detail": str(each)})
    return True
