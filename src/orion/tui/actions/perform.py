"""An action done to rows: the text that it wants, the question that it asks, its calls, and what is said then."""

from collections.abc import Sequence
from functools import partial

from orion.client import Client
from orion.model.api.watch import Noun
from orion.model.errors import OrionError
from orion.tui.actions.action import Action, Begun, Calls, Previews, Question, Stage
from orion.tui.actions.questions import together
from orion.tui.lines import Line, plain
from orion.tui.screens.confirm import Ask, Confirm, Outcome
from orion.tui.store import Store
from orion.tui.texts.asking import job_of

MOST_SAID = 3  # outcomes, in one line


async def perform(stage: Stage, action: Action, noun: Noun, keys: Sequence[str]) -> None:
    """To be awaited in a worker of the app, as its screens are waited for. Whatever fails is told."""
    chosen = list(keys) if action.many else list(keys[:1])
    if not chosen:
        return
    try:
        await _perform(stage, action, noun, chosen)
    except OrionError as error:
        stage.tell(error.detail, True)
    except OSError as error:  # of this machine: a full disk below an editor's file
        stage.tell(f"{action.word}: {error.strerror or error}", True)


async def _perform(stage: Stage, action: Action, noun: Noun, keys: list[str]) -> None:
    store = stage.cluster.store
    refused = [why for key in keys if action.refuses and (why := action.refuses(store, key))]
    keys = [key for key in keys if not (action.refuses and action.refuses(store, key))]
    if not keys:
        _report(stage, action, [], refused)
    elif action.together is not None and len(keys) > 1:
        stage.app.push_screen(action.together(stage.cluster, noun, keys))
    elif action.opens is not None:
        stage.app.push_screen(action.opens(stage.cluster, noun, keys[0]))
    elif action.takes is not None:
        await action.takes(stage, noun, keys[0])
    elif action.calls is not None:
        names = [_name(store, noun, key) for key in keys]
        wished = await _wished(stage, action, names, keys[0])
        if wished is not None and await _agreed(stage, action, names[0], keys, wished, refused):
            said, failed = await _call(stage, action.calls, keys, wished)
            _report(stage, action, said, [*refused, *failed])


def _name(store: Store, noun: Noun, key: str) -> str:
    """Returns what people call the row: a deployment is known by its job."""
    return (job_of(store, noun, key) or key) if noun is Noun.DEPLOYMENTS else key


async def _wished(stage: Stage, action: Action, names: list[str], key: str) -> str | None:
    wish = action.wish
    if wish is None:
        return ""
    of = names[0] if len(names) == 1 else f"{len(names)} at once"
    first = wish.first(stage.cluster.store, key)
    choices = list[Line]()
    if wish.choices is not None:
        choices = await stage.cluster.ask(partial(_choices, wish.choices, key))
    title = f"{action.word.capitalize()} {of}: {wish.title}"
    return await stage.app.push_screen_wait(Ask(title, first, wish.check, wish.hint, choices))


def _choices(ask: Previews, key: str, client: Client) -> list[Line]:
    return ask(client, key, "")


async def _agreed(
    stage: Stage, action: Action, name: str, keys: list[str], wished: str, refused: list[str]
) -> bool:
    """Asks whether to do it; `refused`: why some rows are left out."""
    if not action.destroys:
        return True
    asks, store = action.asks, stage.cluster.store
    asked = [each for key in keys if asks is not None and (each := asks(store, key, wished)) is not None]
    if asks is not None and not asked:
        return True
    question = together(asked) if asked else Question(f"{action.word.capitalize()} {name}?", (), action.word)
    more = [plain(why, "dim") for why in refused]
    if action.previews is not None:
        more += await stage.cluster.ask(partial(_preview, action, keys[0], wished))
    answer: bool = await stage.app.push_screen_wait(Confirm(question.title, [*question.lines, *more], question.yes))
    return answer


def _preview(action: Action, key: str, wished: str, client: Client) -> list[Line]:
    return action.previews(client, key, wished) if action.previews is not None else []


async def _call(stage: Stage, call: Calls, keys: list[str], wished: str) -> tuple[list[str], list[str]]:
    """Asks for one after the other; one that fails does not keep the others from it. Returns what is said of those
    that were done, and of those that failed.
    """
    said, failed = list[str](), list[str]()
    for key in keys:
        try:
            told = await stage.cluster.ask(partial(_one, call, key, wished))
        except OrionError as error:
            failed.append(error.detail)
            continue
        if isinstance(told, Begun):
            if told.deployment is not None:
                stage.begun(told.deployment)
            told = told.words
        said.append(told)
    return said, failed


def _report(stage: Stage, action: Action, said: list[str], failed: list[str]) -> None:
    """Tells of one row in a line, of several on a screen of their own where any failed, or they are many."""
    failed = list(dict.fromkeys(failed))
    if len(said) + len(failed) == 1:
        stage.tell([*said, *failed][0], bool(failed))
    elif not failed and len(said) <= MOST_SAID:
        stage.tell("; ".join(said), False)
    else:
        lines = [*(plain(each, "bad") for each in failed), *(plain(each, "good") for each in said)]
        stage.app.push_screen(Outcome(f"{action.word.capitalize()}: {len(said)} done, {len(failed)} not", lines))


def _one(call: Calls, key: str, wished: str, client: Client) -> str | Begun:
    return call(client, key, wished)
