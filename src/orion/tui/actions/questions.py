"""Questions before something is destroyed: they say which tasks end, and where. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from orion.model.api.nodes import NodeView
from orion.model.api.volumes import VolumeView
from orion.model.api.watch import JobRow, Noun, TaskRow
from orion.model.counts import several
from orion.model.job import JobKind
from orion.tui.actions.action import Question
from orion.tui.lines import Line, plain
from orion.tui.store import Store
from orion.tui.texts.asking import runs_of, task_order, tasks_of

ACTIVE = frozenset(("scheduled", "pulling", "starting", "running"))
MOST_NAMED = 6


def stop_job(store: Store, job: str, wished: str) -> Question:
    del wished
    kept = plain("It is kept, to be started again.")
    if _is_cron(store, job):
        return Question(
            f"Stop {job}?", [plain("No run begins any more. One that is under way goes on."), kept], "stop"
        )
    return Question(f"Stop {job}?", [*ending(of_job(store, job)), kept], "stop")


def delete_job(store: Store, job: str, wished: str) -> Question:
    del wished
    return Question(f"Delete {job}?", list(_lost(store, job)), "delete")


def _lost(store: Store, job: str) -> Iterator[Line]:
    """Yields all that goes with a job."""
    yield from ending([task for each in (job, *runs_of(store, job)) for task in of_job(store, each)])
    if _is_cron(store, job):
        yield plain("Its runs go with it.")
    yield plain("Its versions and its history are forgotten. Volumes and configs stay.")


def _is_cron(store: Store, job: str) -> bool:
    row = store.tables[Noun.JOBS].get(job)
    return isinstance(row, JobRow) and row.kind == JobKind.CRON


def restart_job(store: Store, job: str, wished: str) -> Question:
    del wished
    tasks = [task for task in of_job(store, job) if task.state in ACTIVE]
    words = f"{several(len(tasks), 'task')} of {job} {_is(tasks)} replaced by new ones, as its update policy says"
    return Question(f"Restart {job}?", [plain(f"{words}: {_places(tasks)}.")], "restart")


def restart_job_of(store: Store, task: str, wished: str) -> Question:
    return restart_job(store, task.rpartition("/")[0], wished)


def scale_job(store: Store, job: str, wished: str) -> Question | None:
    """Asks where tasks end."""
    row, count = store.tables[Noun.JOBS].get(job), int(wished)
    if not isinstance(row, JobRow) or count >= row.count:
        return None
    gone = [task for task in of_job(store, job) if task_order(task.id)[1] >= count]
    return Question(f"Scale {job} from {row.count} to {count}?", list(ending(gone)), "scale")


def stop_task(store: Store, task: str, wished: str) -> Question:
    del wished
    return Question(
        f"Stop {task}?", [*ending(_one(store, task)), plain("It is kept, to be started again.")], "stop"
    )


def delete_task(store: Store, task: str, wished: str) -> Question:
    """Asks for what is deleted: the job, as one of several tasks is not deleted alone."""
    del wished
    job = task.rpartition("/")[0]
    alone = plain(f"{task} is the only task of {job}, and the job goes with it. A new task in its place: r.", "bad")
    return Question(f"Delete {task} and its job {job}?", [alone, *_lost(store, job)], "delete")


def drain(store: Store, node: str, wished: str) -> Question:
    del wished
    return Question(
        f"Drain {node}?", [*_leaving(store, node, but=_users(store, node)), *_staying(store, node)], "drain"
    )


def drain_volumes(store: Store, node: str, wished: str) -> Question:
    del wished
    volumes = sorted(each.name for each in volumes_on(store, node))
    lines = [
        *_leaving(store, node),
        plain(f"{several(len(volumes), 'volume')} on it {_is(volumes)} copied to other nodes: {_named(volumes)}."),
    ]
    return Question(f"Drain {node}, with its volumes?", lines, "drain")


def drain_stop(store: Store, node: str, wished: str) -> Question:
    del wished
    after = plain(f"Once none is left, Orion on {node} ends. Start it again there.")
    return Question(
        f"Drain {node} and stop it?",
        [*_leaving(store, node, but=_users(store, node)), *_staying(store, node), after],
        "stop",
    )


def rebalance(store: Store, node: str, wished: str) -> Question:
    del store, node, wished
    return Question("Move these tasks?", (), "move")


def forget_node(store: Store, node: str, wished: str) -> Question:
    del wished
    row = store.tables[Noun.NODES].get(node)
    status = f"It is {row.status}." if isinstance(row, NodeView) else ""
    lines = [plain(status), plain("It is a member no longer. What it has of volumes is lost to the cluster.")]
    return Question(f"Forget {node}?", lines, "forget")


def lead(store: Store, node: str, wished: str) -> Question:
    del wished
    leader = store.leader or "nobody"
    return Question(
        f"Hand leadership to {node}?", [plain(f"Now {leader} leads. Writes wait for a moment.")], "hand over"
    )


def delete_volume(store: Store, volume: str, wished: str) -> Question:
    del wished
    row = store.tables[Noun.VOLUMES].get(volume)
    lines = [plain("All of its data is lost.", "bad")]
    if isinstance(row, VolumeView):
        where = f"It is on {row.node_id}." if row.node_id else "It has no data yet."
        used = f" Jobs ask for it, and it is refused: {_named(row.used_by)}." if row.used_by else ""
        lines.append(plain(f"{where}{used}"))
    return Question(f"Delete volume {volume}?", lines, "delete")


def delete_network(store: Store, network: str, wished: str) -> Question:
    del store, wished
    return Question(f"Delete network {network}?", [plain("It is refused while a job names it.")], "delete")


def delete_config(store: Store, config: str, wished: str) -> Question:
    del store, wished
    lines = [plain("Its value is lost. Tasks that run keep it; those that start later and want it wait.")]
    return Question(f"Delete config {config}?", lines, "delete")


def together(questions: Iterable[Question]) -> Question:
    """Returns one question for several rows."""
    found = list(questions)
    if len(found) == 1:
        return found[0]
    lines: list[Line] = []
    for each in found[:MOST_NAMED]:
        lines += [plain(each.title.removesuffix("?"), "title"), *each.lines]
    if len(found) > MOST_NAMED:
        lines.append(plain(f"and {len(found) - MOST_NAMED} more alike"))
    return Question(f"{found[0].yes.capitalize()} {len(found)} at once?", lines, found[0].yes)


# --- words --------------------------------------------------------------------------------------------------


def ending(tasks: Iterable[TaskRow]) -> Iterator[Line]:
    """Yields how many tasks of which job end, and where."""
    jobs: dict[str, list[TaskRow]] = {}
    for task in tasks:
        if task.state in ACTIVE:
            jobs.setdefault(task.job, []).append(task)
    if not jobs:
        yield plain("No task ends.")
    for job, each in sorted(jobs.items()):
        ends = "ends" if len(each) == 1 else "end"
        yield plain(f"{several(len(each), 'task')} of {job} {ends}: {_places(each)}.", "warn")


def of_job(store: Store, job: str) -> list[TaskRow]:
    return tasks_of(store, Noun.JOBS, job)


def volumes_on(store: Store, node: str) -> list[VolumeView]:
    """Returns the volumes whose data is on the node."""
    rows = store.tables[Noun.VOLUMES].values()
    return [row for row in rows if isinstance(row, VolumeView) and row.node_id == node and row.kind == "host"]


def _one(store: Store, task: str) -> list[TaskRow]:
    return tasks_of(store, Noun.TASKS, task)


def _users(store: Store, node: str) -> list[str]:
    """Returns the jobs with volumes on the node."""
    return sorted({job for volume in volumes_on(store, node) for job in volume.used_by})


def _leaving(store: Store, node: str, *, but: Collection[str] = ()) -> Iterator[Line]:
    """Yields which tasks go elsewhere: all but those of some jobs."""
    active = [task for task in tasks_of(store, Noun.NODES, node) if task.state in ACTIVE]
    tasks = [task for task in active if task.job not in but]
    jobs = Counter(task.job for task in tasks)
    if active and not tasks:
        yield plain("It gets no more work until it is made ready.")
        return
    if not tasks:
        yield plain("It has no tasks. It gets none.")
        return
    named = _named([f"{count} of {job}" for job, count in sorted(jobs.items())])
    yield plain(f"{several(len(tasks), 'task')} {_go(tasks)} to other nodes, if they fit: {named}.", "warn")
    yield plain("It gets no more work until it is made ready.")


def _staying(store: Store, node: str) -> Iterator[Line]:
    if users := _users(store, node):
        yield plain(f"Tasks with volumes here end, and wait for the node: {_named(users)}.", "warn")


def _places(tasks: Iterable[TaskRow]) -> str:
    nodes = Counter(task.node_id or "no node" for task in tasks)
    return _named([f"{count} on {node}" for node, count in sorted(nodes.items())])


def _named(words: list[str]) -> str:
    if not words:
        return "none"
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is(things: list[TaskRow] | list[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _go(tasks: list[TaskRow]) -> str:
    return "goes" if len(tasks) == 1 else "go"
