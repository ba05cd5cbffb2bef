"""Calls of actions: each asks the cluster for one row and returns a sentence of what became of it."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from orion.client import Client
from orion.model.api.history import ChangeView
from orion.model.api.jobs import JobView, VersionView, request_of
from orion.model.api.tasks import TaskFields
from orion.model.counts import several
from orion.model.deployment import DeploymentState
from orion.model.errors import OrionError, Refused
from orion.model.job import JobKind
from orion.tui.actions.action import Begun
from orion.tui.actions.wishes import labels, version
from orion.tui.lines import Line, Part, plain
from orion.tui.texts.versions import changed_words, plan_told, version_lines


def restart_job(client: Client, job: str, wished: str) -> Begun:
    del wished
    return _begun(client.restart_job(job), "is restarted")


def restart_job_of(client: Client, task: str, wished: str) -> Begun:
    return restart_job(client, task.rpartition("/")[0], wished)


def scale_job(client: Client, job: str, wished: str) -> Begun:
    return _begun(client.set_count(job, int(wished)), f"goes to {several(int(wished), 'task')}")


def roll_back(client: Client, job: str, wished: str) -> Begun:
    view = client.roll_back(job, version(wished))
    return _begun(view, f"goes back to what was version {wished or view.version}")


def promote(client: Client, job: str, wished: str) -> Begun:
    del wished
    return _begun(client.promote(job), "goes on")


def stop_job(client: Client, job: str, wished: str) -> str:
    del wished
    ends = "no run of it begins any more" if client.stop_job(job).kind == JobKind.CRON else "its tasks end"
    return f"{job} is stopped; {ends}"


def start_job(client: Client, job: str, wished: str) -> str:
    del wished
    client.start_job(job)
    return f"{job} is started"


def delete_job(client: Client, job: str, wished: str) -> str:
    del wished
    client.delete_job(job)
    return f"{job} is gone once its last task has ended"


def run_job(client: Client, job: str, wished: str) -> str:
    del wished
    return f"{client.run_job(job).name} runs"


def stop_task(client: Client, task: str, wished: str) -> str:
    del wished
    client.stop_task(task)
    return f"{task} is stopped"


def start_task(client: Client, task: str, wished: str) -> str:
    del wished
    client.start_task(task)
    return f"{task} is started"


def delete_task(client: Client, task: str, wished: str) -> str:
    del wished
    client.delete_task(task)
    return f"{task.rpartition('/')[0]} is gone once {task} has ended"


def drain(client: Client, node: str, wished: str) -> str:
    del wished
    left = client.drain(node).tasks
    return f"{node} gets no more work; {several(left, 'task')} to move" if left else f"{node} gets no more work"


def ready(client: Client, node: str, wished: str) -> str:
    del wished
    client.ready(node)
    return f"{node} takes work again"


def forget_node(client: Client, node: str, wished: str) -> str:
    del wished
    client.remove_node(node)
    return f"{node} is forgotten"


def lead(client: Client, node: str, wished: str) -> str:
    del wished
    view = client.transfer_leader(node)
    return f"{view.leader or 'nobody'} leads in term {view.term}"


def label_node(client: Client, node: str, wished: str) -> str:
    view = client.label_node(node, labels(wished))
    return f"{node} has {' '.join(f'{key}={value}' for key, value in view.labels.items())}"


def rebalance(client: Client, node: str, wished: str) -> str:
    """Moves tasks of all nodes, whichever the cursor is at."""
    del node, wished
    view = client.rebalance()
    if not view.moves:
        return "no move would even out the nodes"
    return f"{several(len(view.moves), 'task')} on the way{'; more want to, ask again then' if view.more else ''}"


def would_move(client: Client, node: str, wished: str) -> list[Line]:
    del node, wished
    view = client.rebalance(dry_run=True)
    if not view.moves:
        return [plain("No move would even out the nodes.")]
    return [(Part(f"{move.task}  ", "title"), Part(f"{move.source} → {move.target}")) for move in view.moves]


def would_roll_back(client: Client, job: str, wished: str) -> list[Line]:
    """Returns which version it goes back to, what that changes, and how many tasks run others. Raises Refused where
    there is none.
    """
    versions = client.job_versions(job)
    target, which = _way_back(job, versions, version(wished))
    back = plain(f"Back to version {target.version}{which}: {target.task.image}")
    return [back, *_changes_back(client, job, target, versions)]


def _changes_back(client: Client, job: str, target: VersionView, versions: list[VersionView]) -> list[Line]:
    """Returns the plan of a rollback; the names of the fields that differ where the cluster can't say it now: a
    rollback may be wanted the more then.
    """
    fields = {field.name: getattr(target.task, field.name) for field in msgspec.structs.fields(TaskFields)}
    try:
        return plan_told(client.plan_job(job, request_of(client.job(job), fields))) or [plain("Nothing differs.")]
    except OrionError as error:
        now = next((each for each in versions if each.current), target)
        others = sum(each.running for each in versions if each.version != target.version)
        ends = "ends" if others == 1 else "end"
        return [
            plain(f"changes: {changed_words(now, target) or 'nothing'}"),
            plain(f"{several(others, 'task')} of other versions {ends}, as its update policy says.", "warn"),
            plain(f"More is not known: {error.detail}", "dim"),
        ]


def versions(client: Client, job: str, wished: str) -> list[Line]:
    """Returns the versions that there are."""
    del wished
    history = list[ChangeView]()
    with contextlib.suppress(OrionError):  # their ages are worth less than the rest
        history = client.history(job)
    return list(version_lines(client.job_versions(job), history))


def _way_back(job: str, versions: list[VersionView], asked: int | None) -> tuple[VersionView, str]:
    """Returns the version that a rollback goes to, as the cluster chooses it, and words for which one that is."""
    now = next((each.version for each in versions if each.current), 0)
    if asked is None:
        if (healthy := next((each for each in versions if each.healthy and not each.current), None)) is not None:
            return healthy, ", the last healthy one"
        earlier = [each for each in versions if each.version < now]
        if earlier:
            return max(earlier, key=lambda each: each.version), ", the one before this"
        raise Refused(f"{job} is at version {now}, and has none to go back to")
    if asked == now:
        raise Refused(f"{job} is at version {now} already")
    target = next((each for each in versions if each.version == asked), None)
    if target is None:
        kept = ", ".join(str(each.version) for each in sorted(versions, key=lambda each: each.version))
        raise Refused(f"version {asked} of {job} is not kept; kept are {kept}")
    return target, ""


def move_volume(client: Client, volume: str, wished: str) -> str:
    view = client.move_volume(volume, wished)
    to = view.move.to if view.move is not None else wished
    return f"{volume} goes to {to or 'another node'}"


def delete_volume(client: Client, volume: str, wished: str) -> str:
    del wished
    left = client.remove_volume(volume).left
    return next((f"{volume}: {why}" for why in left.values()), f"{volume} is gone")


def delete_network(client: Client, network: str, wished: str) -> str:
    del wished
    client.remove_network(network)
    return f"{network} is gone"


def delete_config(client: Client, config: str, wished: str) -> str:
    del wished
    client.delete_config(config)
    return f"{config} is gone"


T = TypeVar("T")


def of_job(call: Callable[[Client, str, str], T]) -> Callable[[Client, str, str], T]:
    """Returns the call for a deployment, which is one of its job."""

    def called(client: Client, deployment: str, wished: str) -> T:
        return call(client, client.deployment(int(deployment)).job, wished)

    return called


def under_way(job: JobView) -> int | None:
    """Returns the deployment of a job that goes on."""
    row = job.deployment
    return row.id if row is not None and row.state == DeploymentState.RUNNING else None


def _begun(job: JobView, words: str) -> Begun:
    deployment = under_way(job)
    notes = "".join(f"; {note}" for note in job.notes)
    way = f" (deployment {deployment})" if deployment is not None else ""
    return Begun(f"{job.name} {words}{way}{notes}", deployment)
