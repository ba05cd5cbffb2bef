"""All that is replicated as text: a file pins it, so that nothing of it changes without a level.

What former builds write and read stays as it is: tags, the order and types of fields, the values of enums. What is
new says since which level it exists (docs/design/versions.md). `script/replicated` writes the file anew.
"""

import argparse
import re
from pathlib import Path

import msgspec

from orion.model.levels import LEVEL, level_of_member, level_of_type
from orion.ports.log import Identity
from orion.raft.messages import ConfChange, HardState, SnapshotMeta
from orion.state.core.features import lowered
from orion.state.core.frames import End, Header
from orion.state.core.shapes import fields_of, is_enum, name_of, reachable, tag_of
from orion.state.tables import COMMANDS, TABLES
from orion.wire.backups import About

GOLDEN = Path(__file__).parents[1] / "unit/state/golden/replicated.txt"
ROOTS = (*COMMANDS, Header, *(frame for table in TABLES for frame in table.frames), End)
# On every node's disk or in every backup, and without a gate: a change of these is another format.
UNGATED = (ConfChange, SnapshotMeta, HardState, Identity, About)

RENAMED = "If it only has another name, which no bytes hold, write that name into the file too"

_HEAD = """\
# All that is replicated, as script/replicated writes it; docs/design/versions.md says how to change it.
# What is of a level up to this one has been given out, so it stays as it is for ever.
released: {released}
"""


class Row(msgspec.Struct, frozen=True):
    """A field of a record, or a member of an enum. `text`: its type and default, or its value."""

    name: str
    text: str
    since: int = 1

    def __str__(self) -> str:
        return f"    {self.name}: {self.text}{_since(self.since)}"


class Kind(msgspec.Struct, frozen=True):
    """A record or an enum. `head` says what stands before its fields."""

    name: str
    head: str
    since: int
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return "\n".join((f"{self.name}: {self.head}{_since(self.since)}", *map(str, self.rows)))


class Pinned(msgspec.Struct, frozen=True):
    released: int
    kinds: dict[str, Kind]

    def __str__(self) -> str:
        return "\n".join((_HEAD.format(released=self.released), *(f"{kind}\n" for kind in self.kinds.values())))


def found(released: int, roots: tuple = (*ROOTS, *UNGATED)) -> Pinned:
    """As this build has it."""
    kinds = reachable(roots)
    names = [kind.__name__ for kind in kinds]
    assert len(names) == len(set(names)), f"two kinds of one name: {sorted(names)}"
    return Pinned(released, {kind.__name__: _kind(kind) for kind in kinds})


def pinned(text: str) -> Pinned:
    """As the file says."""
    released, kinds = 0, {}
    for block in re.split(r"\n\n+", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines[0].startswith("released: "):
            released = int(lines[0].removeprefix("released: "))
            continue
        name, head, since = _parsed(lines[0])
        kinds[name] = Kind(name, head, since, tuple(Row(*_parsed(line.strip())) for line in lines[1:]))
    return Pinned(released, kinds)


def faults(old: Pinned, new: Pinned) -> list[str]:
    """What has changed and may not, each with what to do."""
    said = []
    for name, kind in old.kinds.items():
        if kind.since > old.released:
            continue
        if name not in new.kinds:
            said.append(f"{name} is gone, but former builds write it: it has to stay. {RENAMED}")
        elif new.kinds[name].head != kind.head:
            said.append(f"{name} was '{kind.head}' and is '{new.kinds[name].head}': it has to stay as it was")
        else:
            said += _row_faults(old.released, kind, new.kinds[name])
    for name, kind in new.kinds.items():
        if name in old.kinds:
            continue
        if "tag" in kind.head:
            said += _level_faults(f"{name}", f"@since({{}}) above class {name}", kind.since, old.released)
    return said


def _row_faults(released: int, old: Kind, new: Kind) -> list[str]:
    said = []
    kept = [row for row in old.rows if row.since <= released]
    for at, row in enumerate(kept):
        here = new.rows[at] if at < len(new.rows) else None
        if here != row:
            found = f"'{here.name}: {here.text}{_since(here.since)}'" if here else "nothing"
            said.append(
                f"{old.name}.{row.name} was number {at + 1}, '{row.text}', and there is {found} now: what has been"
                f" given out stays where and as it was, and new ones come at the end. {RENAMED}"
            )
            return said
    known = {row.name for row in old.rows}
    for row in new.rows[len(kept) :]:
        where = f"{new.name}.{row.name}"
        how = (
            f'@since({{}}, "{row.name}") above it'
            if new.head == "enum"
            else f"{row.name}: Annotated[…, since({{}})]"
        )
        said += _level_faults(where, how, row.since, released)
        if new.head != "enum" and " = " not in row.text and row.name not in known:
            said.append(f"{where} has no default: what former builds have written does not hold it")
    return said


def _level_faults(what: str, how: str, since: int, released: int) -> list[str]:
    if released < since <= LEVEL:
        return []
    first = "" if released < LEVEL else f"add level {released + 1} to model/levels.py, then "
    return [f"{what} is new and says no level of its own: {first}write {how.format(max(LEVEL, released + 1))}"]


def _kind(kind: type) -> Kind:
    if is_enum(kind):
        rows = [Row(m.name, repr(m.value), level_of_member(kind, m.name)) for m in kind]
        return Kind(kind.__name__, "enum", level_of_type(kind), tuple(rows))
    rows = []
    for field in fields_of(kind):
        default = "" if field.default is msgspec.NODEFAULT else f" = {_default(field.default, field.since)}"
        rows.append(Row(field.name, name_of(field.kind) + default, field.since))
    form = "array" if kind.__struct_config__.array_like else "map"
    head = form if tag_of(kind) is None else f"{form}, tag {tag_of(kind)}"
    return Kind(kind.__name__, head, level_of_type(kind), tuple(rows))


def _default(value: object, level: int) -> str:
    """As it was when the field came."""
    return msgspec.json.encode(lowered(value, level)).decode()


def _since(level: int) -> str:
    return f"  since {level}" if level > 1 else ""


def _parsed(line: str) -> tuple[str, str, int]:
    text, _, since = line.partition("  since ")
    name, _, rest = text.partition(": ")
    return name, rest, int(since or 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write down all that is replicated, unless it may not change so.")
    parser.add_argument("--release", action="store_true", help="all levels there are have been given out")
    parser.add_argument("--anyway", action="store_true", help="even so: nobody runs a build that this would break")
    chosen = parser.parse_args()
    old = pinned(GOLDEN.read_text())
    if said := faults(old, found(old.released)):
        print("\n".join(said))
        if not chosen.anyway:
            return 1
    GOLDEN.write_text(str(found(LEVEL if chosen.release else old.released)))
    print(f"{GOLDEN.relative_to(Path.cwd())} is as it should be; look at what git diff says")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
