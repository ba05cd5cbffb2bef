"""`orion front-door` prints a job file that is one."""

import tomllib


def test_the_job_is_a_system_job_on_the_hosts_network_that_knows_several_nodes(orion):
    code, out, err = orion("front-door", "--image", "registry.local/door:1")
    assert (code, err) == (0, "")
    found = tomllib.loads(out)
    assert found["kind"] == "system"
    assert found["networkMode"] == "host"
    assert found["image"] == "registry.local/door:1"
    assert found["command"] == ["orion", "front-door", "run", "--tls", "internal"]
    assert found["healthCheck"]["exec"] == {"command": ["orion", "front-door", "check", "443"]}
    assert found["update"] == {"order": "stop-first"}
    assert found["env"]["ORION_ADDR"]
    assert "configs" not in found


def test_it_checks_as_a_job_file(orion, tmp_path):
    _, out, _ = orion("front-door", "--ca", "--https-port", "8443", "--http-port", "8080")
    file = tmp_path / "door.toml"
    file.write_text(out)
    assert orion("job", "check", str(file))[0] == 0
    found = tomllib.loads(out)
    assert found["command"][-4:] == ["--http-port", "8080", "--https-port", "8443"]
    assert [each["path"] for each in found["configs"]] == ["/etc/front-door/ca.crt", "/etc/front-door/ca.key"]


def test_options_that_do_not_go_together_are_refused(orion):
    code, _, err = orion("front-door", "--ca", "--tls", "off")
    assert code == 2
    assert "--ca is for --tls internal" in err


def test_without_tls_it_is_checked_at_its_http_port(orion):
    _, out, _ = orion("front-door", "--tls", "off")
    assert tomllib.loads(out)["healthCheck"]["exec"]["command"][-1] == "80"


def test_the_health_check_connects(orion, api):
    assert orion("front-door", "check", str(api.port))[0] == 0
    code, _, err = orion("front-door", "check", "1")
    assert code == 1
    assert "nobody answers at port 1: Connection refused" in err
