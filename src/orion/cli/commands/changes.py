"""`orion update`, `scale`, `rollback`, `restart` and `promote`: changes of a job, followed to their ends."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orion.cli.shared.fields import asked_for, bad_usage, task_options
from orion.cli.shared.options import asks, command
from orion.cli.shared.types import Seconds

if TYPE_CHECKING:
    from orion.client import Client, JobView

F = TypeVar("F", bound=Callable[..., Any])

_JOB = click.argument("job")
_KEPT = ("name",)  # of a job for good

# Options of `orion update` about the update itself, as docker service update names them.
_POLICY = {
    "order": click.option("--update-order", "order", type=click.Choice(("auto", "start-first", "stop-first"))),
    "parallelism": click.option("--update-parallelism", "parallelism", type=click.IntRange(0), metavar="TASKS"),
    "delay_seconds": click.option("--update-delay", "delay_seconds", type=Seconds(), metavar="SECONDS"),
    "monitor_seconds": click.option("--update-monitor", "monitor_seconds", type=Seconds(), metavar="SECONDS"),
    "failure_action": click.option(
        "--update-failure-action", "failure_action", type=click.Choice(("rollback", "pause", "continue"))
    ),
    "min_available": click.option("--min-available", "min_available", type=click.IntRange(0), metavar="TASKS"),
    "canary": click.option("--canary", "canary", type=click.IntRange(0), metavar="TASKS"),
}


def waits(command: F) -> F:
    """Adds --no-wait and --wait-timeout."""
    for option in (
        click.option(
            "--wait-timeout", type=Seconds(), metavar="SECONDS", help="The longest wait.  [default: none]"
        ),
        click.option("--no-wait", is_flag=True, help="Return at once; the cluster goes on by itself."),
    ):
        command = option(command)
    return command


def _policy_options(command: F) -> F:
    for option in reversed(_POLICY.values()):
        command = option(command)
    return command


@command()
@_JOB
@click.argument("words", nargs=-1, metavar="[COMMAND...]")
@click.option("--image", help="The container's image.")
@click.option("--count", "--replicas", type=click.IntRange(0), help="Tasks.")
@task_options
@_policy_options
@waits
@asks
def update(
    client: "Client", job: str, words: tuple[str, ...], image: str | None, count: int | None, **asked: Any
) -> int:
    """Change a job's tasks, one after the other, without a gap.

    Variables (-e) are added to those it has; anything else that is given takes the place of what it has. A new
    version that fails is taken back by itself: exit code 3.
    """
    from msgspec.structs import replace

    from orion.client import Invalid
    from orion.model.api.jobs import request_of

    view = client.job(job)
    fields = {name: value for name, value in asked_for(asked).items() if name not in _KEPT}
    if "env" in fields:
        fields["env"] = {**view.env, **fields["env"]}
    if words:
        fields["command"] = list(words)
    if image is not None:
        fields["image"] = image
    if count is not None:
        fields["count"] = count
    policy = {name: asked[name] for name in _POLICY if asked[name] is not None}
    if policy:
        fields["update"] = replace(view.update, **policy)
    try:
        changed = client.put_job(job, request_of(view, fields), if_version=view.version)
    except Invalid as error:
        raise bad_usage(error) from None
    return _follow(client, changed, asked, unchanged=True)


@command()
@click.argument("job", metavar="JOB[=COUNT]")
@click.argument("count", type=click.IntRange(0), required=False)
@click.option("--count", "--replicas", "replicas", type=click.IntRange(0), help="COUNT, by its name.")
@waits
@asks
def scale(client: "Client", job: str, count: int | None, replicas: int | None, **asked: Any) -> int:
    """Have so many tasks of a job: web 3, or web=3.

    What is too many are the tasks with the highest numbers.
    """
    job, _, behind = job.partition("=")
    given = [each for each in (count, replicas, _count(behind) if behind else None) if each is not None]
    if len(given) != 1:
        raise click.UsageError("say once how many: orion scale web 3")
    count = given[0]
    return _follow(client, client.set_count(job, count), asked, unchanged=True)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"{text!r} is no number of tasks: orion scale web 3")
    return int(text)


@command()
@_JOB
@click.option(
    "--to", "to_version", type=click.IntRange(0), metavar="VERSION", help="  [default: the last healthy one]"
)
@waits
@asks
def rollback(client: "Client", job: str, to_version: int | None, **asked: Any) -> int:
    """Take a job back to its last version that was healthy."""
    return _follow(client, client.roll_back(job, to_version), asked)


@command()
@_JOB
@waits
@asks
def restart(client: "Client", job: str, **asked: Any) -> int:
    """Replace a job's tasks by new ones, one after the other, without a gap."""
    return _follow(client, client.restart_job(job), asked)


@command()
@_JOB
@waits
@asks
def promote(client: "Client", job: str, **asked: Any) -> int:
    """Have the rest follow the canaries, or a paused deployment go on."""
    return _follow(client, client.promote(job), asked)


def _follow(client: "Client", job: "JobView", asked: Mapping[str, Any], *, unchanged: bool = False) -> int:
    from orion.cli.shared.rollout import follow_all

    wait, timeout_s = not asked["no_wait"], asked["wait_timeout"]
    return follow_all(client, [job], wait=wait, timeout_s=timeout_s, unchanged=unchanged)
