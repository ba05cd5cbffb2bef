"""Options of `orion run` about the nodes of a task: parts of its `placement`, and `--constraint`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

WEIGHT = 50  # of a preference that says none


class Preference(click.ParamType[tuple[str, int]]):
    """`disk=ssd`, `disk=ssd@80` or `zone=b@-20`."""

    name = "rule@weight"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        del param, ctx  # any text is one: the cluster reads the rule
        match = re.fullmatch(r"(.*)@([+-]?[0-9]{1,4})", str(value), re.DOTALL)
        return (match[1], int(match[2])) if match else (str(value), WEIGHT)


class Companion(click.ParamType[tuple[str, frozenset[str]]]):
    """`JOB`, `JOB:network`, `JOB:network,pid`."""

    name = "job"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, frozenset[str]]:
        job, colon, words = str(value).partition(":")
        shared = frozenset(words.split(",")) if colon else frozenset()
        if not job or not shared <= {"network", "pid"}:
            self.fail(f"{value!r} is not a job to go with: write JOB, JOB:network or JOB:network,pid", param, ctx)
        return job, shared


_OPTIONS = (
    click.option(
        "--prefer",
        type=Preference(),
        multiple=True,
        metavar="RULE[@WEIGHT]",
        help="Nodes that are better than others, as in disk=ssd@80; with a weight below 0 they are worse. "
        f"Repeatable.  [default weight: {WEIGHT}]",
    ),
    click.option(
        "--spread-over", metavar="LABEL", help="As many tasks of its job go to nodes with each value of the label."
    ),
    click.option("--max-per-node", type=click.INT, metavar="N", help="The most tasks of its job on one node."),
    click.option("--distinct-hosts", is_flag=True, default=None, help="One task of its job at most on a machine."),
    click.option(
        "--alongside",
        type=Companion(),
        metavar="JOB[:network,pid]",
        help="Only where a task of that job runs; with its network, or its processes in sight.",
    ),
)
# Where errors of the cluster are about, and the option that asked for it.
OPTION_OF = {
    "constraints": "--constraint",
    "affinities": "--prefer",
    "spreadOver": "--spread-over",
    "maxPerNode": "--max-per-node",
    "distinctHosts": "--distinct-hosts",
    "alongside": "--alongside",
    "strategy": "--placement",
}


def placement_options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_placement(fields: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a request with the placement that the options ask for."""
    from orion.model.api.placement_fields import AffinityRequest, AlongsideRequest, PlacementRequest

    labels = fields.get("node_selectors", {})
    companion = asked["alongside"]
    rules = {
        "constraints": [text for text, value in labels.items() if value is None],
        "affinities": [AffinityRequest(text, weight) for text, weight in asked["prefer"]],
        "spread_over": asked["spread_over"],
        "max_per_node": asked["max_per_node"],
        "distinct_hosts": asked["distinct_hosts"],
        "alongside": companion and AlongsideRequest(companion[0], *(w in companion[1] for w in ("network", "pid"))),
    }
    given = {name: value for name, value in rules.items() if value}
    made = {**fields}
    if "node_selectors" in made:
        made["node_selectors"] = {label: value for label, value in labels.items() if value is not None}
    if given:
        made["placement"] = PlacementRequest(fields.get("placement", ""), **given)
    return made
