from cluster_kit import run


def _followers(leader):
    return leader.node.driver.raft.status().followers.values()


def test_every_node_shows_how_all_are():
    async def main(nodes):
        leader = nodes.leader
        await nodes.until(lambda: all(f.state == "replicate" for f in _followers(leader)))
        views = [await machine.ask(lambda s: s.raft()) for machine in nodes.machines]
        for machine, view in zip(nodes.machines, views, strict=True):
            assert view.leader == leader.name
            followers = [m for m in view.voters + view.learners if m.id != leader.name]
            assert len(followers) == 6
            assert all(m.match and m.lag is not None and m.state == "replicate" for m in followers)
            assert [m.status for m in view.voters + view.learners + view.workers] == ["alive"] * 8
            assert len(view.workers) == 1
            assert view.next == []
            if machine is not leader and machine.node.driver.is_member:
                assert view.state == "follower", "of itself it says what it is"

    run(main, count=8, voters=5)


def test_without_a_leader_it_shows_what_it_knows():
    async def main(nodes):
        alone = next(m for m in nodes.machines if m is not nodes.leader)
        nodes.isolate(alone)
        await nodes.until(lambda: not alone.node.driver.standing.leader)
        view = await alone.ask(lambda s: s.raft())
        assert view.leader is None
        assert [m.match for m in view.voters] == [None] * 3
        assert view.next == []

    run(main)
