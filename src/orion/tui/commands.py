"""The command bar: what is typed after `:`, and how it is completed. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from orion.model.api.watch import Noun
from orion.tui.relations import Scope
from orion.tui.views import VIEWS

# Words that k9s's users, Docker's and ours type, to the name of a view or of a screen.
ALIASES: dict[str, str] = {
    "no": "nodes",
    "node": "nodes",
    "members": "nodes",
    "ta": "tasks",
    "task": "tasks",
    "ps": "tasks",
    "po": "tasks",
    "pod": "tasks",
    "pods": "tasks",
    "jo": "jobs",
    "job": "jobs",
    "sts": "jobs",
    "ds": "jobs",
    "services": "jobs",
    "cj": "cron",
    "cronjob": "cron",
    "cronjobs": "cron",
    "al": "allocations",
    "alloc": "allocations",
    "allocs": "allocations",
    "allocation": "allocations",
    "runs": "allocations",
    "containers": "allocations",
    "dp": "deployments",
    "deploy": "deployments",
    "deployment": "deployments",
    "rollouts": "deployments",
    "ep": "endpoints",
    "endpoint": "endpoints",
    "svc": "endpoints",
    "service": "endpoints",
    "vol": "volumes",
    "volume": "volumes",
    "pv": "volumes",
    "pvc": "volumes",
    "net": "networks",
    "network": "networks",
    "cm": "configs",
    "config": "configs",
    "configmaps": "configs",
    "secrets": "configs",
    "ev": "events",
    "event": "events",
    "pu": "pulses",
    "pulse": "pulses",
    "health": "pulses",
    "xr": "xray",
    "tree": "xray",
    "pack": "packing",
    "pk": "packing",
    "log": "logs",
    "stats": "use",
    "top": "use",
    "desc": "describe",
    "q": "quit",
    "q!": "quit",
    "qa": "quit",
    "exit": "quit",
    "h": "help",
    "?": "help",
    "alias": "aliases",
    "a": "aliases",
    "pf": "forwards",
    "portforward": "forwards",
}

# Screens that are no tables, with what an argument of theirs is: a row of one of these.
_RUNS = (Noun.JOBS, Noun.TASKS, Noun.NODES)
SCREENS: dict[str, tuple[Noun, ...]] = {
    "events": _RUNS,
    "pulses": (),
    "xray": (Noun.JOBS,),
    "packing": (),
    "raft": (),
    "logs": _RUNS,
    "use": _RUNS,
    "why": _RUNS,
    "describe": _RUNS,
    "yaml": (Noun.JOBS,),
    "help": (),
    "aliases": (),
    "forwards": (),
    "quit": (),
}

ALL = "all"  # says in the place of a name what none says too
OF_ALL = frozenset({"events", "xray", "use"})  # screens that need no name

# Words of k9s that mean nothing here, with what to say.
ELSEWHERE: dict[str, str] = {
    "ns": "Orion has no namespaces: filter with / or name a job, as in :tasks web",
    "namespace": "Orion has no namespaces: filter with / or name a job, as in :tasks web",
    "ctx": "orion top shows one cluster: start another one with --addr",
    "context": "orion top shows one cluster: start another one with --addr",
    "rs": "versions of a job are in its deployments: :dp JOB",
    "rb": "Orion has no roles",
    "sd": "what was saved is in the directory that Ctrl-S names",
    "popeye": "Orion has no popeye: Ctrl-Z shows faults only",
}

# Owners by which each view may be narrowed down with an argument, the likeliest first.
OWNERS: dict[str, tuple[Noun, ...]] = {
    "jobs": (),
    "cron": (),
    "nodes": (),
    "tasks": (Noun.JOBS, Noun.NODES),
    "endpoints": (Noun.JOBS, Noun.NODES),
    "allocations": (Noun.JOBS, Noun.TASKS, Noun.NODES),
    "deployments": (Noun.JOBS,),
    "volumes": (Noun.JOBS, Noun.NODES),
    "networks": (),
    "configs": (),
}

Names = Mapping[Noun, Iterable[str]]  # keys that there are


class Command(NamedTuple):
    """A command as it is meant. `view`: a table, by name, with its scope, filter and row. `screen`: one that is no
    table, with its argument. `wrong`: nothing of it can be done, and why.
    """

    view: str = ""
    scope: Scope | None = None
    filter: str = ""
    at: str = ""
    screen: str = ""
    argument: str = ""
    wrong: str = ""


def read_command(text: str, names: Names, aliases: Mapping[str, str] | None = None) -> Command:
    """Understands `po`, `tasks web`, `tasks /fail`, `no disk=ssd`, `tasks node=node2`, `xray web`."""
    words = text.strip().removeprefix(":").split()
    if not words:
        return Command()
    word, arguments = words[0].casefold(), words[1:]
    more = (aliases or {}).get(word)
    if more is not None:
        first, *rest = more.split() or [""]
        word, arguments = first.casefold(), [*rest, *arguments]
    name = ALIASES.get(word, word)
    if name in SCREENS:
        return _screen(name, arguments, names)
    if name in VIEWS:
        return _view(name, arguments, names)
    if word in ELSEWHERE:
        return Command(wrong=ELSEWHERE[word])
    near = _near(word)
    return Command(
        wrong=f"there is no view {word!r}" + (f": did you mean :{near}?" if near else ": :help lists them")
    )


def _screen(name: str, arguments: Sequence[str], names: Names) -> Command:
    if len(arguments) > 1:
        return Command(wrong=f":{name} takes one name, not {len(arguments)}")
    argument = arguments[0] if arguments else ""
    if argument == ALL and name in OF_ALL:
        argument = ""
    # Events of what is gone are kept.
    if argument and name != "events" and SCREENS[name] and not any(_has(names, noun, argument) for noun in Noun):
        *first, last = (noun.removesuffix("s") for noun in SCREENS[name])
        nouns = f"{', '.join(first)} or {last}" if first else last
        without = f"; :{name} alone is of all" if name in OF_ALL else ""
        return Command(wrong=f"there is no {nouns} {argument!r}{without}")
    return Command(screen=name, argument=argument)


def _view(name: str, arguments: Sequence[str], names: Names) -> Command:
    scope, at, filters, labels = None, "", list[str](), list[str]()
    for index, argument in enumerate(arguments):
        if argument.startswith(("/", "-f", "-l", "!")):
            filters.append(" ".join(arguments[index:]).removeprefix("/"))
            break
        if "=" in argument:
            labels.append(argument)
            continue
        plain = argument.removeprefix("@")
        found = next((noun for noun in OWNERS[name] if _has(names, noun, plain)), None)
        if found is not None:
            scope = Scope(found, plain)
        elif _has(names, VIEWS[name].noun, plain):
            at = plain
        else:
            return Command(
                wrong=f"nothing that :{name} is narrowed down by is called {plain!r}: filter with /{plain}"
            )
    if labels:
        filters.append(f"-l {','.join(labels)}")
    return Command(view=name, scope=scope, filter=filters[0] if filters else "", at=at)


def _has(names: Names, noun: Noun, key: str) -> bool:
    return key in (names.get(noun) or ())


def _near(word: str) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(word, [*VIEWS, *SCREENS, *ALIASES], n=1)), "")


def completions(text: str, names: Names, aliases: Mapping[str, str] | None = None, most: int = 20) -> list[str]:
    """Returns what the whole line may become, the likeliest first."""
    begun = text.removeprefix(":")
    *before, last = begun.split(" ") if begun else [""]
    if not before:
        return _words(last.casefold(), aliases or {})[:most]
    word = before[0].casefold()
    word = (aliases or {}).get(word, word)
    name = ALIASES.get(word, word)
    found: list[str] = []
    for noun in _arguments_of(name):
        found += sorted(key for key in names.get(noun, ()) if key.startswith(last) and key != last)
    head = " ".join(before)
    return [f"{head} {key}" for key in found[:most]]


def _words(begun: str, aliases: Mapping[str, str]) -> list[str]:
    if not begun:
        return [*VIEWS, *SCREENS]
    whole = [name for name in (*VIEWS, *SCREENS) if name.startswith(begun)]
    short = [word for word in (*aliases, *ALIASES) if word.startswith(begun)]
    return [word for word in dict.fromkeys([*whole, *sorted(short)]) if word != begun]


def _arguments_of(name: str) -> tuple[Noun, ...]:
    if name in VIEWS:
        return (*OWNERS[name], VIEWS[name].noun)
    return SCREENS.get(name, ())
