"""An action done to rows: the text that it wants, the question that it asks, its calls, and what is said then."""

from collections.abc import Sequence
from functools import partial

from orion.client import Client
from orion.model.api.watch import Noun
from orion.model.errors import OrionError
from orion.tui.actions.action import Action, Calls, Question, Stage
from orion.tui.actions.questions import together
from orion.tui.lines import Line
from orion.tui.screens.confirm import Ask, Confirm

MOST_SAID = 3  # failures, of many rows


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
    if refused:
        stage.tell(refused[0], True)
    elif action.opens is not None:
        stage.app.push_screen(action.opens(stage.cluster, noun, keys[0]))
    elif action.takes is not None:
        await action.takes(stage, noun, keys[0])
    elif action.calls is not None:
        wished = await _wished(stage, action, keys)
        if wished is not None and await _agreed(stage, action, keys, wished):
            await _call(stage, action.calls, keys, wished)


async def _wished(stage: Stage, action: Action, keys: list[str]) -> str | None:
    wish = action.wish
    if wish is None:
        return ""
    of = keys[0] if len(keys) == 1 else f"{len(keys)} at once"
    first = wish.first(stage.cluster.store, keys[0])
    return await stage.app.push_screen_wait(
        Ask(f"{action.word.capitalize()} {of}: {wish.title}", first, wish.check, wish.hint)
    )


async def _agreed(stage: Stage, action: Action, keys: list[str], wished: str) -> bool:
    if not action.destroys:
        return True
    asks, store = action.asks, stage.cluster.store
    asked = [each for key in keys if asks is not None and (each := asks(store, key, wished)) is not None]
    if asks is not None and not asked:
        return True
    question = together(asked) if asked else Question(f"{action.word.capitalize()} {keys[0]}?", (), action.word)
    more: list[Line] = []
    if action.previews is not None:
        more = await stage.cluster.ask(partial(_preview, action, keys[0], wished))
    answer: bool = await stage.app.push_screen_wait(Confirm(question.title, [*question.lines, *more], question.yes))
    return answer


def _preview(action: Action, key: str, wished: str, client: Client) -> list[Line]:
    return action.previews(client, key, wished) if action.previews is not None else []


async def _call(stage: Stage, call: Calls, keys: list[str], wished: str) -> None:
    """Asks for one after the other; one that fails does not keep the others from it."""
    said, failed = list[str](), list[str]()
    for key in keys:
        try:
            said.append(await stage.cluster.ask(partial(_one, call, key, wished)))
        except OrionError as error:
            failed.append(error.detail)
    if failed:
        more = f"; and {len(failed) - MOST_SAID} more" if len(failed) > MOST_SAID else ""
        done = f" ({len(said)} of {len(keys)} were done)" if said else ""
        stage.tell(f"{'; '.join(failed[:MOST_SAID])}{more}{done}", True)
    elif len(said) == 1:
        stage.tell(said[0], False)
    else:
        stage.tell(f"{len(said)} done: {said[0]}, and so on", False)


def _one(call: Calls, key: str, wished: str, client: Client) -> str:
    return call(client, key, wished)
