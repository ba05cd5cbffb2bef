r"""Regular expressions whose match takes time in proportion to the text, whatever the pattern.

Users write them, and the leader matches them against the labels of all nodes: one that backtracks could hold it
for ever. So a pattern becomes a machine of at most MAX_STATES states, all of which go through the text side by
side, as in RE2. What needs backtracking (back-references, lookaround) is refused. The syntax is that of Python and
RE2: literals, `.`, classes, `\d` `\w` `\s`, groups, `|`, `*`, `+`, `?`, `{2,4}`, `^` and `$`. A match may begin and
end anywhere in the text.
"""

from collections.abc import Iterable
from functools import lru_cache

MAX_PATTERN = 128  # characters
MAX_STATES = 512
MAX_REPEATS = 64  # as in {64}
_MAX_DEPTH = 16  # of groups

# A step to another state: on a character of a set, at the start or the end of the text, or for nothing.
_Set = tuple[bool, frozenset[str]]  # True: any character but these
_ANY: _Set = (True, frozenset())
_START, _END = "start", "end"

_DIGITS = frozenset("0123456789")
_WORD = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_SPACE = frozenset(" \t\n\r\f\v")
_CLASSES: dict[str, _Set] = {
    "d": (False, _DIGITS),
    "D": (True, _DIGITS),
    "w": (False, _WORD),
    "W": (True, _WORD),
    "s": (False, _SPACE),
    "S": (True, _SPACE),
}


class BadPattern(ValueError):
    """`str` says what is wrong with it, for people."""


class _Machine:
    """State 0 is the first. `free[s]` are the states that follow s for nothing or on a condition, `reads[s]` the
    set of characters on which the one state behind it follows.
    """

    __slots__ = ("accepts", "free", "reads")

    def __init__(self) -> None:
        self.free: list[list[tuple[str, int]]] = []
        self.reads: list[tuple[_Set, int] | None] = []
        self.accepts = -1

    def state(self) -> int:
        if len(self.free) >= MAX_STATES:
            raise BadPattern("is too large: repeat less")
        self.free.append([])
        self.reads.append(None)
        return len(self.free) - 1

    def matches(self, text: str) -> bool:
        first = self._spread((0,), at_start=True, at_end=not text)
        states = first
        for at, character in enumerate(text, 1):
            if self.accepts in states:
                return True
            found = {0}  # a match may begin anywhere
            for state in states:
                read = self.reads[state]
                if read is not None and (character in read[0][1]) != read[0][0]:
                    found.add(read[1])
            states = self._spread(found, at_start=False, at_end=at == len(text))
        return self.accepts in states

    def _spread(self, states: Iterable[int], *, at_start: bool, at_end: bool) -> set[int]:
        found = set(states)
        waiting = list(found)
        while waiting:
            for condition, state in self.free[waiting.pop()]:
                open_here = not condition or (at_start if condition == _START else at_end)
                if open_here and state not in found:
                    found.add(state)
                    waiting.append(state)
        return found


class _Parser:
    """Builds the machine while it reads: each part between a state to begin from and one that it returns."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0
        self.machine = _Machine()

    def parse(self) -> _Machine:
        end = self._alternatives(self.machine.state())
        if self._at < len(self._text):
            raise BadPattern("has a ) too many")
        self.machine.accepts = end
        return self.machine

    @property
    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _alternatives(self, begin: int) -> int:
        end = self.machine.state()
        while True:
            branch = self.machine.state()
            self._link(begin, branch)
            self._link(self._sequence(branch), end)
            if self._next != "|":
                return end
            self._at += 1

    def _sequence(self, begin: int) -> int:
        while self._next and self._next not in "|)":
            begin = self._repeated(begin)
        return begin

    def _repeated(self, begin: int) -> int:
        """A part that is repeated is read, and so built, as often as it may come."""
        start = self._at
        inner = self.machine.state()
        self._link(begin, inner)
        end = self._atom(inner)
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return end
        behind = self._at
        if self._next and self._next in "*+?{":
            raise BadPattern(f"has {self._next} behind a repetition")
        out = self.machine.state()
        if least == 0:
            self._link(inner, out)
        for copy in range(1, max(least, most or 0)):
            if copy >= least:
                self._link(end, out)
            inner = self.machine.state()
            self._link(end, inner)
            self._at = start
            end = self._atom(inner)
        self._at = behind
        if most is None:
            self._link(end, inner)
        self._link(end, out)
        return out

    def _quantifier(self) -> tuple[int, int | None]:
        sign = self._next
        if sign in ("*", "+", "?"):
            self._at += 1
            return (1 if sign == "+" else 0), (1 if sign == "?" else None)
        if sign != "{":
            return 1, 1
        start, closing = self._at, self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : max(closing, self._at + 1)].partition(",")
        numbers = [number for number in (least, most) if number]
        if closing < 0 or not least or not all(n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers):
            raise BadPattern("has a { that counts nothing: write {2}, {2,} or {2,4}, or \\{ for itself")
        self._at = closing + 1
        low = int(least)
        high = low if not comma else int(most) if most else None
        if max(low, high or 0) > MAX_REPEATS or (high is not None and not 0 < high >= low):
            raise BadPattern(f"has {self._text[start : closing + 1]}: at most {MAX_REPEATS}, the smaller first")
        return low, high

    def _atom(self, begin: int) -> int:
        sign = self._next
        self._at += 1
        if sign == "(":
            return self._group(begin)
        if sign in ("*", "+", "?", "{"):
            raise BadPattern(f"has a {sign} with nothing to repeat")
        if sign in ("^", "$"):
            end = self.machine.state()
            self.machine.free[begin].append((_START if sign == "^" else _END, end))
            return end
        if sign == ".":
            return self._read(begin, _ANY)
        if sign == "[":
            return self._read(begin, self._class())
        if sign == "\\":
            return self._read(begin, self._escape())
        return self._read(begin, (False, frozenset(sign)))

    def _group(self, begin: int) -> int:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadPattern(f"has groups more than {_MAX_DEPTH} deep")
        if self._next == "?":
            if not self._text.startswith("?:", self._at):
                raise BadPattern("has a (? that is not (?:")
            self._at += 2
        end = self._alternatives(begin)
        if self._next != ")":
            raise BadPattern("has a ( without its )")
        self._at += 1
        self._depth -= 1
        return end

    def _escape(self) -> _Set:
        sign = self._next
        self._at += 1
        if sign in _CLASSES:
            return _CLASSES[sign]
        if not sign or sign.isalnum():
            raise BadPattern(f"has \\{sign}, which is not known here")
        return False, frozenset(sign)

    def _class(self) -> _Set:
        negated = self._next == "^"
        self._at += negated
        found: set[str] = set()
        first = True
        while self._next != "]" or first:
            first = False
            low = self._member(found)
            if low and self._next == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                high = self._member(found)
                if not high or not low <= high <= "\x7f":
                    raise BadPattern("has a range in [] that is none")
                found.update(map(chr, range(ord(low), ord(high) + 1)))
        self._at += 1
        return negated, frozenset(found)

    def _member(self, found: set[str]) -> str:
        """Adds one character, and returns it; "" where it is a class."""
        sign = self._next
        self._at += 1
        if not sign:
            raise BadPattern("has a [ without its ]")
        if sign == "[":
            raise BadPattern("has a [ in []: write \\[")
        if sign == "\\":
            negated, members = self._escape()
            if negated:
                raise BadPattern("has a class in [] that says what is not in it")
            found |= members
            return next(iter(members)) if len(members) == 1 else ""
        found.add(sign)
        return sign

    def _read(self, begin: int, members: _Set) -> int:
        end = self.machine.state()
        self.machine.reads[begin] = (members, end)
        return end

    def _link(self, begin: int, end: int) -> None:
        self.machine.free[begin].append(("", end))


@lru_cache(256)
def _machine(pattern: str) -> _Machine:
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"is longer than {MAX_PATTERN} characters")
    if not pattern:
        raise BadPattern("is empty")
    return _Parser(pattern).parse()


def pattern_error(pattern: str) -> str:
    """Returns what is wrong with a pattern, "" for nothing: 'has a ( without its )'."""
    try:
        _machine(pattern)
    except BadPattern as error:
        return str(error)
    return ""


def matches(pattern: str, text: str) -> bool:
    """Raises BadPattern."""
    return _machine(pattern).matches(text)
