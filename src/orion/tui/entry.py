"""The line in which a command or a filter is typed. Pure: a line of a bar, so that a key costs that line alone."""

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from orion.tui.cells import width_of
from orion.tui.summary import Span


@runtime_checkable
class Narrowed(Protocol):
    """A screen whose rows or lines may be filtered."""

    def narrow(self, text: str) -> None: ...


Complete = Callable[[str], list[str]]
MOST_KEPT = 100


class Came(enum.Enum):
    """The outcome of a key."""

    NOTHING = enum.auto()  # the cursor may be elsewhere
    TYPED = enum.auto()
    GIVEN = enum.auto()
    DROPPED = enum.auto()


class Entry:
    """`sign`: what stands before it. `kept`: what was given there before; it takes what is given now."""

    def __init__(self, sign: str, kept: list[str], complete: Complete) -> None:
        self.sign = sign
        self.text = ""
        self.at = 0  # the cursor
        self._kept = kept
        self._complete = complete
        self._back = len(kept)  # which of those that are kept stands here
        self._own = ""  # typed before one that is kept was looked at
        self._candidates: list[str] = []
        self._turn = -1

    def press(self, key: str, character: str | None) -> Came:
        """Takes a key, by the name that `keys` has for it."""
        before = self.text
        if key == "enter":
            return self._give()
        if key in ("esc", "ctrl-c") or (key == "backspace" and not before):
            return Came.DROPPED
        edit = _EDITS.get(key)
        if edit is not None:
            edit(self)
        elif character is not None and character.isprintable():
            self._put(character)
        return Came.TYPED if self.text != before else Came.NOTHING

    def paste(self, text: str) -> None:
        self._put("".join(c for c in text.partition("\n")[0] if c.isprintable()))

    @property
    def ghost(self) -> str:
        """The rest of the likeliest completion, behind what was typed."""
        if not self.text or self.at < len(self.text):
            return ""
        likely = next((each for each in self._complete(self.text) if each.startswith(self.text)), "")
        return likely[len(self.text) :]

    def spans(self, width: int) -> list[Span]:
        """Returns the line as it is drawn; of a long one the part around the cursor."""
        room = max(1, width - len(self.sign) - 1)
        first = 0
        while width_of(self.text[first : self.at]) > room:
            first += 1
        ghost = self.ghost
        behind = self.text[self.at :] or ghost
        look = "dim" if ghost else "value"
        return [
            (self.sign, "title"),
            (self.text[first : self.at], "value"),
            (behind[:1] or " ", "here"),
            (behind[1:], look),
        ]

    def _give(self) -> Came:
        text = self.text.strip()
        if text and text not in self._kept[-1:]:
            self._kept.append(text)
            del self._kept[:-MOST_KEPT]
        return Came.GIVEN

    # --- edits --------------------------------------------------------------------------------------------

    def _put(self, characters: str) -> None:
        self.text = self.text[: self.at] + characters + self.text[self.at :]
        self.at += len(characters)

    def _replace(self, text: str) -> None:
        self.text, self.at = text, len(text)

    def _cut(self, begin: int, end: int) -> None:
        self.text = self.text[:begin] + self.text[end:]
        self.at = begin

    def backspace(self) -> None:
        self._cut(max(0, self.at - 1), self.at)

    def delete(self) -> None:
        self._cut(self.at, self.at + 1)

    def cut_word(self) -> None:
        head = self.text[: self.at].rstrip()
        self._cut(head.rfind(" ") + 1, self.at)

    def cut_before(self) -> None:
        self._cut(0, self.at)

    def cut_behind(self) -> None:
        self._cut(self.at, len(self.text))

    def left(self) -> None:
        self.at = max(0, self.at - 1)

    def right(self) -> None:
        """At the end it takes the completion that is shown."""
        if self.at < len(self.text):
            self.at += 1
        else:
            self._put(self.ghost)

    def home(self) -> None:
        self.at = 0

    def end(self) -> None:
        if self.at == len(self.text):
            self._put(self.ghost)
        self.at = len(self.text)

    def complete(self, step: int = 1) -> None:
        """Goes through what the line may become; typing goes on from there."""
        if self._turn < 0 or self.text != self._candidates[self._turn]:
            self._candidates = self._complete(self.text)
            self._turn = -1 if step > 0 else 0
        if self._candidates:
            self._turn = (self._turn + step) % len(self._candidates)
            self._replace(self._candidates[self._turn])

    def complete_back(self) -> None:
        self.complete(-1)

    def earlier(self) -> None:
        self._look_back(-1)

    def later(self) -> None:
        self._look_back(1)

    def _look_back(self, step: int) -> None:
        if self._back == len(self._kept):
            self._own = self.text
        self._back = max(0, min(self._back + step, len(self._kept)))
        self._replace(self._kept[self._back] if self._back < len(self._kept) else self._own)


_EDITS: dict[str, Callable[[Entry], None]] = {
    "backspace": Entry.backspace,
    "ctrl-h": Entry.backspace,
    "delete": Entry.delete,
    "ctrl-d": Entry.delete,
    "ctrl-w": Entry.cut_word,
    "ctrl-u": Entry.cut_before,
    "ctrl-k": Entry.cut_behind,
    "left": Entry.left,
    "ctrl-b": Entry.left,
    "right": Entry.right,
    "ctrl-f": Entry.right,
    "home": Entry.home,
    "ctrl-a": Entry.home,
    "end": Entry.end,
    "ctrl-e": Entry.end,
    "tab": Entry.complete,
    "shift-tab": Entry.complete_back,
    "up": Entry.earlier,
    "down": Entry.later,
}


def no_completion(text: str) -> list[str]:
    del text
    return []
