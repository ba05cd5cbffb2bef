"""orion volume, against an API whose volumes are in the test's hand."""

import json

import pytest
from msgspec.structs import replace

from orion.cli.shared import storage
from orion.model.api.storage import VolumeClaimView
from orion.model.errors import Conflict
from unit.api.fake_storage import storage_view


def test_a_volume_is_made_shown_and_removed(orion, api):
    assert orion("volume", "create", "data", "--label", "tier=gold") == (0, "data\n", "")
    api.service.volumes.add("logs", node_id="node2", state="ready", used_by=["web"], in_use=True)
    code, out, err = orion("volume", "ls")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["VOLUME", "DRIVER", "NODE", "STATE", "SIZE", "LAST", "USED", "USED", "BY"],
        ["data", "local", "-", "new", "4.1", "kB", "-", "-"],
        ["logs", "local", "node2", "ready", "4.1", "kB", "now", "web"],
    ]
    shown = json.loads(orion("volume", "inspect", "logs")[1])
    assert (shown["nodeId"], shown["usedBy"]) == ("node2", ["web"])
    assert orion("volume", "rm", "data") == (0, "data\n", "")
    code, out, err = orion("volume", "rm", "logs")
    assert (code, out) == (1, "")
    assert "volume logs is used by web" in err
    assert orion("volume", "rm", "nothing")[0] == 1


def test_unused_ones_are_removed_when_asked(orion, api):
    api.service.volumes.add("logs", used_by=["web"])
    api.service.volumes.add("old")
    assert orion("volume", "prune", "--yes") == (0, "old\n", "")
    assert list(api.service.volumes.volumes) == ["logs"]
    assert orion("volume", "prune") == (0, "", "")


def test_a_move_is_followed_to_its_end(orion, api):
    api.service.volumes.add("data", node_id="node1", state="ready")
    code, out, err = orion("volume", "move", "data", "node2")
    assert (code, out) == (0, "data is on node2\n")
    assert "data to node2: 10 B of about 20 B copied" in err
    assert orion("volume", "move", "data", "--detach") == (0, "", "")
    api.service.volumes.add("logs", node_id="node1", state="ready")
    assert orion("volume", "move", "logs", "--cancel") == (0, "logs stays on node1\n", "")


def refuses(monkeypatch, api, name):
    move = type(api.service.volumes).move

    async def moved(self, volume, to, **more):
        if volume == name:
            raise Conflict(f"no other node has room for the tasks of volume {name}")
        return await move(self, volume, to, **more)

    monkeypatch.setattr(type(api.service.volumes), "move", moved)


@pytest.mark.parametrize("option", ["--wait", "--stop"])
def test_a_volume_that_can_not_move_keeps_no_other_from_it_and_its_node_from_being_stopped(
    orion, api, monkeypatch, option
):
    for name in ("a", "b", "c"):
        api.service.volumes.add(name, node_id="node1", state="ready")
    refuses(monkeypatch, api, "b")
    code, out, err = orion("drain", "--move-volumes", option, "node1")
    assert code == 1
    assert out.splitlines() == ["a is on node3", "c is on node3", "node1 gets no more work; it has none left"]
    assert "orion: no other node has room for the tasks of volume b\n" in err
    assert ("orion: node1 is not stopped: it has volumes that were to move\n" in err) == (option == "--stop")
    assert api.service.nodes_by_name["node1"].status == "drained"


def test_a_move_that_comes_to_nothing_keeps_none_from_being_followed(orion, api, monkeypatch):
    for name in ("a", "b"):
        api.service.volumes.add(name, node_id="node1", state="ready")

    get = type(api.service.volumes).get

    async def stays(self, name, _read=None):
        found = await get(self, name)
        return replace(found, state="ready", node_id="node1") if name == "a" else found

    monkeypatch.setattr(type(api.service.volumes), "get", stays)
    code, out, err = orion("drain", "--move-volumes", "--wait", "node1")
    assert (code, out.splitlines()[0]) == (1, "b is on node3")
    assert "a stays on node1" in err


def test_a_drain_that_is_not_waited_for_says_which_volumes_stay(orion, api, monkeypatch):
    for name in ("b", "c"):
        api.service.volumes.add(name, node_id="node1", state="ready")
    refuses(monkeypatch, api, "b")
    code, _, err = orion("drain", "--move-volumes", "node1")
    assert (code, err) == (1, "orion: no other node has room for the tasks of volume b\n")
    assert api.service.volumes.volumes["c"].state == "moving"


def test_who_stops_waiting_for_a_move_hears_that_it_goes_on(orion, api, monkeypatch):
    def hung_up(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("orion.cli.commands.volume.follow", hung_up)
    api.service.volumes.add("data", node_id="node1", state="ready")
    code, out, err = orion("volume", "move", "data", "node2")
    assert (code, out) == (130, "")
    assert err == "orion: data goes on without you: 'orion volume move --cancel data' calls it off\n"


def test_all_pages_of_many_are_shown(orion, api):
    for n in range(1_001):
        api.service.volumes.add(f"v{n:04}")
    code, out, _ = orion("volume", "ls", "--no-sizes")
    assert (code, len(out.splitlines())) == (0, 1_002)
    assert [asked[0] for asked in api.service.volumes.asked] == ["", "v0499", "v0999"]


def test_a_backup_takes_the_place_of_a_file_once_it_is_whole(orion, api, tmp_path):
    file = tmp_path / "data.tar"
    file.write_text("former")
    api.service.volumes.add("data", in_use=True)
    code, _, err = orion("volume", "backup", "data", str(file))
    assert (code, file.read_text()) == (1, "former")
    assert "volume data is in use" in err
    assert orion("volume", "backup", "data", str(file), "--live") == (0, f"data is in {file}\n", "")
    assert file.read_bytes() == b"rows"
    assert [each.name for each in tmp_path.iterdir()] == ["data.tar"]
    assert orion("volume", "restore", "copy", str(file), "--node", "node2") == (0, "copy is restored\n", "")
    assert api.service.volumes.data["copy"] == b"rows"
    assert api.service.volumes.volumes["copy"].node_id == "node2"


def test_a_storage_systems_volume_is_waited_for_and_why_not_is_said(orion, api, tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    words = "--size 10GB --access multi-node-multi-writer --fs-type ext4 --mount-flag noatime --parameter pool=fast"
    secrets = ("--secret", "user=given-value", "--secret", f"key=@{tmp_path / 'key'}")
    found = orion("volume", "create", "data", "--driver", "dir", *words.split(), *secrets)
    assert found == (0, "data\n", "data: it has no room\n")
    (asked,) = api.service.storage.requests
    assert (asked.size_bytes, asked.access, asked.fs_type) == (10_000_000_000, "multi-node-multi-writer", "ext4")
    assert (asked.mount_flags, asked.parameters) == (["noatime"], {"pool": "fast"})
    assert asked.secrets == {"user": "given-value", "key": "from-a-file"}
    assert "given-value" not in repr(asked)
    out = orion("volume", "ls")[1]
    assert out.splitlines()[1].split()[:6] == ["data", "dir", "-", "ready", "10", "GB"]
    assert "given-value" not in json.dumps(orion("volume", "inspect", "data"))
    assert orion("volume", "expand", "data", "20g") == (0, "", "")
    assert orion("volume", "rm", "data") == (0, "data\n", "")


def test_a_refusal_for_good_ends_the_wait(orion, api):
    api.service.storage.refuses = True
    code, out, err = orion("volume", "create", "data", "--driver", "dir")
    assert (code, out) == (1, "")
    assert err == "orion: data is not made: it has no room\n"


def test_a_wait_for_a_volume_has_an_end(orion, api):
    api.service.storage.stays = True
    code, out, err = orion("volume", "create", "data", "--driver", "dir", "--wait-timeout", "0.1")
    assert (code, out) == (4, "")
    assert "data: it has no room" in err
    assert "data is still removing after 0.1 s" in err
    assert orion("volume", "create", "more", "--driver", "dir", "--detach") == (0, "more\n", "")


def test_no_error_shows_a_secret(orion, tmp_path):
    for given in ("hidden-value", "=hidden-value"):
        code, out, err = orion("volume", "create", "data", "--driver", "dir", "--secret", given)
        assert code == 2
        assert "hidden" not in out + err
    code, _, err = orion("volume", "create", "data", "--driver", "dir", "--secret", f"key=@{tmp_path / 'none'}")
    assert code == 2
    assert "the file of secret key can't be read: No such file" in err


def test_snapshots_are_taken_shown_and_removed(orion, api):
    assert orion("volume", "create", "data", "--driver", "dir", "--detach")[0] == 0
    assert orion("volume", "snapshot", "data", "monday") == (0, "monday\n", "")
    code, out, err = orion("volume", "snapshot", "data", "monday")
    assert (code, out) == (0, "monday\n")
    assert err == (
        "snapshot monday is there already, of 2025-01-01T00:00:00Z: nothing newer is taken under this name\n"
    )
    code, out, _ = orion("volume", "snapshot", "data")
    assert (code, out.startswith("data-2")) == (0, True)
    code, out, _ = orion("volume", "snapshots")
    assert out.splitlines()[-1].split()[:5] == ["monday", "data", "dir", "ready", "5"]
    assert orion("volume", "snapshot-rm", "monday") == (0, "monday\n", "")
    code, _, err = orion("volume", "snapshot-rm", "monday")
    assert code == 1
    assert "there is no snapshot monday" in err
    assert orion("volume", "create", "copy", "--driver", "dir", "--from", "elsewhere")[0] == 2


def given_to(node, *, settled, why=""):
    return VolumeClaimView(node, "published", None, None, False, 10.0, why, settled)


def test_a_list_says_of_each_volume_what_is_not_as_it_should_be(orion, api):
    volumes = api.service.volumes
    volumes.add("data", kind="csi", state="making", storage=storage_view(why="no such pool", refused=True))
    down = storage_view(claims=[given_to("node2", settled=None, why="node2 is down")])
    volumes.add("rows", kind="csi", state="ready", storage=down)
    volumes.add("site", node_id="node3", state="ready", size_reason="node3 can't be asked: it is away")
    code, out, err = orion("volume", "ls")
    assert code == 0
    assert [line.split()[3] for line in out.splitlines()[1:3]] == ["refused", "ready"]
    assert err == "data: no such pool\nrows: node2: node2 is down\nsite: node3 can't be asked: it is away\n"


def test_a_growth_is_done_once_the_nodes_have_it(orion, api, monkeypatch):
    monkeypatch.setattr(storage, "NODES_S", 0.1)
    volumes = api.service.volumes
    behind = storage_view(claims=[given_to("node2", settled=False, why="ext4 can't grow")])
    volumes.add("data", kind="csi", state="ready", storage=behind)
    code, _, err = orion("volume", "expand", "data", "20g")
    assert code == 1
    assert "is not as large yet on node2: ext4 can't grow" in err
    there = storage_view(claims=[given_to("node2", settled=True)])
    volumes.volumes["data"] = replace(volumes.volumes["data"], storage=there)
    assert orion("volume", "expand", "data", "20g") == (0, "", "")


def test_a_size_that_nobody_asked_for_is_said(orion, api):
    api.service.storage.gives_bytes = 1 << 30
    code, out, err = orion("volume", "create", "data", "--driver", "dir")
    assert (code, out) == (0, "data\n")
    assert err.splitlines()[-1] == "data has 1 GiB, as its plugin gives it: --size asks for more or less"
    assert orion("volume", "create", "more", "--driver", "dir", "--size", "2g", "-d") == (0, "more\n", "")


def test_sizes_are_shown_in_the_units_in_which_they_were_asked_for(orion, api):
    for name, asked, has in (("a", 10 << 30, 10 << 30), ("b", 10_000_000_000, 10_737_418_240), ("c", 0, 1 << 29)):
        api.service.volumes.add(name, kind="csi", storage=storage_view(size_bytes=asked, has_bytes=has))
    lines = orion("volume", "ls")[1].splitlines()[1:]
    assert [line.split()[4:6] for line in lines] == [["10", "GiB"], ["10.7", "GB"], ["512", "MiB"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--size 1g", "--size is for a storage plugin: name one with --driver ('orion plugin ls')"),
        ("--driver local --from volume:a", "--from is for a storage plugin: name one with --driver"),
        ("--driver dir --size 2g --limit 1g", "--limit is less than --size"),
        ("--driver dir --block --fs-type ext4", "--block is a device, which has no --fs-type and no --mount-flag"),
    ],
)
def test_an_error_names_the_option_that_was_given(orion, words, said):
    code, out, err = orion("volume", "create", "data", *words.split())
    assert (code, out) == (2, "")
    assert said in err
    assert "Bytes" not in err
