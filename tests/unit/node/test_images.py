"""node/services/images.py: the digest that a job's image has from its deploy on, on whole simulated nodes."""

import pytest
from cluster_kit import run

from orion.model.api.jobs import JobRequest
from orion.model.errors import Conflict
from orion.model.images import digest_of, is_pinned, without_digest
from orion.node.rpc.reads import Read
from sim.engine import FOREVER, MISSING, SUCCEEDS

REQUEST = JobRequest(FOREVER, count=2)


async def put(machine, request=REQUEST, plan=""):
    jobs = machine.node.service.jobs
    return await jobs.put("web", request, if_version=-1, plan=plan, idempotency_key="", timeout_s=10.0)


def test_a_deploy_asks_once_and_all_tasks_run_what_the_tag_stood_for():
    async def main(nodes):
        made = await put(nodes[2])
        assert without_digest(made.image) == FOREVER
        assert is_pinned(made.image)
        assert made.notes == []
        await nodes.until(lambda: sum(len(m.engine.running()) for m in nodes.machines) == 2)
        held = [c for m in nodes.machines for c in m.engine.running()]
        assert {c.image for c in held} == {made.image}
        task, _ = await nodes[1].node.service.task("web/0", Read())
        assert task.allocations[-1].image_digest == digest_of(made.image)

    run(main)


def test_a_tag_that_has_moved_is_a_change_and_a_rollback_goes_back_to_what_it_was():
    async def main(nodes):
        first = await put(nodes[2])
        same = await put(nodes[2])
        assert (same.version, same.image) == (first.version, first.image)
        moved = await put(nodes[2])
        assert moved.version == 1
        assert without_digest(moved.image) == FOREVER
        assert moved.image != first.image
        jobs = nodes[1].node.service.jobs
        again = await jobs.restart("web", timeout_s=10.0)
        assert again.image == moved.image
        kept = await put(nodes[2], JobRequest(moved.image, count=2, env={"A": "1"}))
        assert kept.image == moved.image
        back = await jobs.roll_back("web", 0, timeout_s=10.0)
        assert back.image == first.image

    run(main)


def test_a_registry_that_does_not_say_changes_nothing_of_what_is_known():
    async def main(nodes):
        first = await put(nodes[2])
        nodes[2].engine.registry_refuses = "no route to the registry"
        kept = await put(nodes[2])
        assert (kept.version, kept.image) == (0, first.image)
        (note,) = kept.notes
        assert "no route to the registry" in note
        assert f"{FOREVER} stays {FOREVER}@sha256:" in note

    run(main)


def test_what_no_registry_says_is_taken_by_its_tag_with_a_note():
    async def main(nodes):
        made = await put(nodes[2], JobRequest(MISSING))
        assert made.image == MISSING
        assert "is taken by its tag" in made.notes[0]
        assert "manifest unknown" in made.notes[0]
        for machine in nodes.machines:
            machine.engine.built.add(FOREVER)
        made = await put(nodes[2], JobRequest(FOREVER))
        assert made.image == FOREVER
        assert "node2 has it from no registry" in made.notes[0]
        plan = await nodes[2].node.service.jobs.plan("web", JobRequest(FOREVER, env={"A": "1"}), timeout_s=10.0)
        assert plan.warnings[-1] == made.notes[0]
        always = await put(nodes[2], JobRequest(FOREVER, pull_policy="always"))
        assert is_pinned(always.image)
        never = await put(nodes[2], JobRequest(FOREVER, pull_policy="never"))
        assert (never.image, never.notes) == (FOREVER, [])

    run(main)


def test_a_batch_is_not_run_again_because_its_digest_is_known_now():
    async def main(nodes):
        request = JobRequest(SUCCEEDS, kind="batch", restart_policy="no")
        nodes[2].engine.registry_refuses = "it is away"
        made = await put(nodes[2], request)
        assert made.image == SUCCEEDS
        nodes[2].engine.registry_refuses = ""
        same = await put(nodes[2], request)
        assert (same.version, same.image, same.notes) == (0, SUCCEEDS, [])
        nodes[2].engine.registry_refuses = "it is away"
        other = await nodes[2].node.service.jobs.put(
            "other", request, if_version=-1, plan="", idempotency_key="", timeout_s=10.0
        )
        assert other.image == SUCCEEDS
        assert "it is away" in other.notes[0]

    run(main)


def test_a_node_without_an_engine_has_another_one_ask():
    async def main(nodes):
        for machine in nodes.machines[1:]:
            machine.engine.go_down(containers_die=False)
        await nodes.until(lambda: not any(m.node.agent.has_engine for m in nodes.machines[1:]))
        view = nodes[2].node.driver
        await nodes.until(lambda: sum(bool(n.engine_down) for n in view.view.nodes()) == 2)
        assert is_pinned((await put(nodes[2])).image)
        nodes[1].engine.go_down(containers_die=False)
        await nodes.until(lambda: sum(bool(n.engine_down) for n in view.view.nodes()) == 3)
        made = await put(nodes[2], JobRequest("other"))
        assert made.image == "other"
        assert "no node has a container engine that answers" in made.notes[0]

    run(main)


def test_a_plan_holds_for_the_image_that_it_has_seen():
    async def main(nodes):
        plan = await nodes[2].node.service.jobs.plan("web", REQUEST, timeout_s=10.0)
        made = await put(nodes[2], plan=plan.token)
        plan = await nodes[2].node.service.jobs.plan("web", REQUEST, timeout_s=10.0)  # the third to ask
        (change,) = plan.changes
        assert change.field == "image"
        assert made.image in change.old
        nodes[2].engine.digests_asked[FOREVER] += 2
        with pytest.raises(Conflict, match="the job, its image, or the room"):
            await put(nodes[2], plan=plan.token)

    run(main)
