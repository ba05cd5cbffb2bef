"""orion volume, against an API whose volumes are in the test's hand."""

import json


def test_a_volume_is_made_shown_and_removed(orion, api):
    assert orion("volume", "create", "data", "--label", "tier=gold") == (0, "data\n", "")
    api.service.volumes.add("logs", node_id="node2", state="ready", used_by=["web"], in_use=True)
    code, out, err = orion("volume", "ls")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["VOLUME", "NODE", "STATE", "SIZE", "LAST", "USED", "USED", "BY"],
        ["data", "-", "new", "4.1", "kB", "-", "-"],
        ["logs", "node2", "ready", "4.1", "kB", "now", "web"],
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
