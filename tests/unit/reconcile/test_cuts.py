"""reconcile/cuts.py: whose connections are cut, whoever says first that they are gone."""

from orion.model.ids import NodeId
from orion.model.published import PublishedPlace, PublishedPort
from orion.reconcile import cuts
from orion.reconcile.cuts import REMEMBERED_MS, Cuts

ONE, TWO = 0x0AC80102, 0x0AC80202
PLACES = tuple(PublishedPlace(ip, 80, NodeId(node), True) for ip, node in ((ONE, "a"), (TWO, "b")))
PORT = PublishedPort(8080, "tcp", False, PLACES)
DATAGRAMS = PublishedPort(53, "udp", False, PLACES)


class Looking(Cuts):
    def __init__(self, *ports):
        super().__init__()
        self.now_ms = 0
        assert self.cut(*ports) == set()

    def cut(self, *ports, gone=()):
        self.look(ports, lambda node: node in gone, self.now_ms)
        due = {each.ip for each in self.due}
        self.done()
        return due


def test_connections_of_a_node_that_is_given_up_are_cut_once():
    looking = Looking(PORT, DATAGRAMS)
    assert looking.cut(PORT, DATAGRAMS) == set()
    assert looking.cut(PORT, DATAGRAMS, gone={"a"}) == {ONE}
    assert looking.cut(PORT, DATAGRAMS, gone={"a"}) == set()
    assert looking.cut(gone={"a"}) == {ONE, TWO}, "datagrams of what has ended"
    assert looking.cut(gone={"a"}) == set()


def test_a_node_that_was_back_is_cut_again():
    looking = Looking(PORT)
    assert looking.cut(PORT, gone={"a"}) == {ONE}
    assert looking.cut(PORT) == set()
    assert looking.cut(PORT, gone={"a"}) == {ONE}


def test_a_task_may_be_lost_by_the_clusters_word_before_gossip_gives_its_node_up():
    looking = Looking(PORT)
    assert looking.cut() == set()
    looking.now_ms = 900
    assert looking.cut(gone={"b"}) == {TWO}
    assert looking.cut(gone={"b"}) == set()


def test_what_has_ended_ends_its_own_connections_but_for_datagrams():
    assert Looking(PORT).cut() == set()
    assert Looking(DATAGRAMS).cut() == {ONE, TWO}


def test_what_has_left_is_remembered_for_a_while(monkeypatch):
    looking = Looking(PORT)
    looking.cut()
    looking.now_ms = REMEMBERED_MS
    looking.cut()
    assert looking.cut(gone={"a", "b"}) == set()
    monkeypatch.setattr(cuts, "MAX_REMEMBERED", 1)
    looking = Looking(PORT)
    looking.cut()
    assert len(looking.cut(gone={"a", "b"})) == 1


def test_a_task_that_is_shown_again_is_not_lost():
    looking = Looking(PORT)
    looking.cut()
    looking.cut(PORT)
    assert looking.cut(PORT, gone={"a"}) == {ONE}
    assert looking.cut(gone={"a"}) == set()
