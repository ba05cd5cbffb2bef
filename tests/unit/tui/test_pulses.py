"""The cluster's pulse: figures read, series of them, and what is on the screen."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from orion.api.routes.cluster import metrics_text
from orion.client.watch import Current, Rows
from orion.model.api.cluster import MemberView, RaftView
from orion.model.api.nodes import Amounts
from orion.model.errors import Unavailable
from orion.model.figures import Figure, Sample, counter
from orion.tui.lines import text_of
from orion.tui.once import once
from orion.tui.screens.pulses import Pulses
from orion.tui.screens.raft import Raft
from orion.tui.texts.prometheus import figure, read_figures
from orion.tui.texts.pulse import Measure, Pulse, measure
from orion.tui.texts.pulse_lines import pulse_lines
from orion.tui.texts.sparks import bar, percent, spark
from unit.tui.scripted import Bare, Client, Scripted, job, node, noun_of, piloted, task, text_on, until


def raft(**values):
    fixed = {
        "cluster": "c",
        "state": "leader",
        "term": 7,
        "leader": "node1",
        "commit_index": 10,
        "applied_index": 10,
    }
    voters = [MemberView(f"node{n}", f"{n}", 10, "replicate", 0, "alive") for n in (1, 2, 3)]
    more = {"voters": voters, "learners": [], "first_index": 1, "snapshot_index": 0, "task_count": 0}
    return RaftView(**{**fixed, **more, **values})


def metrics(commits, seconds):
    return metrics_text(
        [counter("orion_raft_commits_total", "", commits), counter("orion_raft_commit_seconds_total", "", seconds)]
    )


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
labels = st.dictionaries(names, st.text(st.sampled_from('a"\\\n{},= 漢'), max_size=6), max_size=3)


@given(st.dictionaries(names, st.tuples(labels, st.floats(allow_nan=False)), max_size=5))
def test_figures_are_read_as_nodes_write_them(samples):
    figures = [Figure(name, "help", (Sample(value, tuple(of.items())),)) for name, (of, value) in samples.items()]
    assert read_figures(metrics_text(figures)) == {
        name: {tuple(of.items()): value} for name, (of, value) in samples.items()
    }


def test_other_programs_figures_are_read_too_and_nonsense_is_passed_over():
    text = '# TYPE a counter\na{b="1",c="2"} 3 1700000000\nd 1e3\n\n{} x\ne one\n'
    assert read_figures(text) == {"a": {(("b", "1"), ("c", "2")): 3.0}, "d": {(): 1000.0}}
    assert figure(read_figures(text), "d") == 1000
    assert figure({}, "d") is None


def test_sparks_and_bars():
    assert spark([0, 0.5, 1, None], 6, 1.0) == "  ▁▅█ "
    assert spark([5, 10], 2) == "▅█"
    assert spark([0, 0], 2) == "▁▁"
    assert spark([1, 2, 3], 2) == "▆█"
    assert (bar(0.5, 4), bar(None, 4), bar(7, 2)) == ("██░░", "░░░░", "██")
    assert (percent(0.456), percent(None), percent(1.05)) == (" 46%", "  - ", "100%")


def test_a_commits_time_is_that_between_two_measures_of_one_leader():
    pulse, store = Pulse(), Scripted([node("node1")]).store
    for measured in (
        Measure(raft(), 10, 1.0),
        Measure(raft(), 14, 1.008),
        Measure(raft(), 14, 1.008),
        Measure(raft(term=9, leader="node2"), 900, 90.0),
        Measure(raft(term=9, leader="node2"), 901, 90.5),
        Measure(raft(term=9, leader="node2"), None, None),
    ):
        pulse.take(measured, store)
    assert [each and round(each, 3) for each in pulse.commit_ms] == [None, 2.0, None, None, 500.0, None]
    assert list(pulse.commits) == [None, 4, 0, None, 1, None]
    assert pulse.elections == 2


def test_the_leader_is_asked_for_its_figures_and_the_rest_is_known_without_it():
    cluster = Scripted(raft=raft(), metrics=metrics(4, 2.0))
    asked = Client(cluster)
    assert measure(asked, asked.address) == Measure(raft(), 4, 2.0)

    def silent(address, **how):
        raise Unavailable(f"{address} does not answer")

    assert measure(asked, "192.0.2.9:8000", silent) == Measure(raft())
    for cluster_id, known in (("c", Measure(raft(), 9, 3.0)), ("another", Measure(raft()))):
        leader = contextlib.nullcontext(Client(Scripted(raft=raft(cluster=cluster_id), metrics=metrics(9, 3.0))))
        assert measure(asked, "127.0.0.1:8000", lambda address, leader=leader, **how: leader) == known


def shown(store, pulse=None, width=80):
    return [text_of(line) for line in pulse_lines(store, pulse or Pulse(), width)]


def test_what_is_old_is_told_as_such():
    store = Scripted([node("node1")]).store
    lines = [text_of(line) for line in pulse_lines(store, Pulse(), 80, old_s=12.3)]
    assert lines[0] == "as of 12 s ago: nothing that is newer comes from the cluster"
    assert lines[2].split() == ["leader", "was", "node1"]


def test_what_waits_is_told_by_reason_and_full_nodes_come_out():
    rows = [task(f"web/{n}", state="pending", reason="no room") for n in range(3)]
    full = node("node1", memory=Amounts(8e9, 7.6e9, 7.9e9))
    dead = node("zed", status="dead", cpu=Amounts(4, 0, None))
    store = Scripted([*rows, task("db/0", state="waiting", reason="db"), job("web", count=3), full, dead]).store
    told = shown(store)
    assert "     3  no room  (web/0 and 2 more)" in told
    assert "     1  db  (db/0)" in told
    assert any(line.startswith("jobs") and "1 with less than they ask for" in line for line in told)
    first, second = told[-2:]
    assert first.startswith("zed ")
    assert " - " in first
    assert " 95%" in second
    assert all(len(line) <= 80 for line in told)


@given(st.integers(20, 240), st.integers(0, 4))
def test_no_line_is_wider_than_the_screen(width, count):
    store = Scripted([node(f"node{'x' * 20}{n}") for n in range(count)]).store
    pulse = Pulse()
    pulse.take(Measure(raft(next=["a sentence " * 20]), 1, 1), store)
    assert all(len(line) <= width for line in shown(store, pulse, width))


@piloted
async def test_the_screen_measures_and_says_when_it_can_not(monkeypatch):
    monkeypatch.setattr("orion.tui.screens.pulses.EVERY_S", 0.05)
    counts = iter(range(1, 10_000))

    def counted():
        if failing:
            raise Unavailable("nobody answers")
        number = next(counts)
        return metrics(10 * number, 0.02 * number)

    failing = False
    cluster = Scripted([node("node1")], raft=raft, metrics=counted)
    app = Bare(Pulses(cluster))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "2.0 ms, 2.0 ms on average" in text_on(app))
        assert "3 of 3 voters well" in text_on(app)
        cluster.answers["raft"] = Unavailable("nobody answers")
        await until(pilot, lambda: "nobody answers; the figures are" in text_on(app))
        assert "3 of 3 voters well" in text_on(app)


def test_once_is_the_same_as_text():
    rows = [node("node1"), job("web"), task("web/0")]
    told = [Rows(noun_of(row), [row], begins=True) for row in rows]
    cluster = Scripted(watch=lambda: iter([*told, Current(5, "node1")]), raft=raft(), metrics=metrics(4, 0.008))
    text = once(Client(cluster))
    assert "node1 in term 7" in text
    assert "2.0 ms on average" in text
    assert "1 running" in text
    assert "while this is open" not in text
    assert "\x1b" not in text


@piloted
async def test_consensus_is_shown_with_who_is_behind():
    voters = [
        MemberView("node1", "1", 10, "replicate", 0, "alive"),
        MemberView("node2", "2", 4, "probe", 6, "dead"),
    ]
    app = Bare(Raft(Scripted(raft=raft(voters=voters, next=["node2 is replaced in 5 s"]))))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "node2 is replaced in 5 s" in text_on(app))
        rows = [line.split() for line in text_on(app).splitlines()]
    assert ["node1", "leader", "alive", "10", "0", "replicate"] in [row[:6] for row in rows]
    assert ["node2", "voter", "dead", "4", "6", "probe"] in [row[:6] for row in rows]
