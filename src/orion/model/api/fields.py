"""How a field of the JSON API is declared: once, for OpenAPI, its rule, the codec and the command line."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta

from orion.model.errors import FieldError, FieldErrors, pointer, shown

_KEY = "orion"  # in the annotation's Meta.extra


class Option(msgspec.Struct, frozen=True):
    """How `orion run` asks for a field. A field of many elements is asked for once for each.

    `kind`: how the value is written, where the field's type does not say it: size, seconds, port, variable, label,
    config (cli/shared/fields.py), or choice. `also`: what the command line has to say beside the description.
    `default`: in words, of a field whose own default does not tell it.
    """

    names: tuple[str, ...]
    metavar: str = ""
    kind: str = ""
    choices: tuple[str, ...] = ()
    also: str = ""
    default: str = ""


class Reading:
    """One field of a request on its way into a spec: who reads it says here what is wrong with it."""

    def __init__(self, request: Any, name: str, errors: FieldErrors) -> None:
        self.request = request
        self.name = name
        self.errors = errors

    def wrong(self, message: str, *where: str | int) -> None:
        """`where`: below the field, in a list or an object."""
        self.errors.append(FieldError(pointer(self.name, *where), message))


class Field(msgspec.Struct, frozen=True):
    """All about a field but its type. `spec`: its place in a TaskSpec, as in resources.cpu_millis; None: it has
    none. `read` makes the value there of the one in JSON, whether it is right or not, and `show` the one in JSON of
    the one there; None: they are the same. `beside`: a second place in the spec, with which both are about a pair.
    """

    name: str
    json: str
    kind: Any
    description: str
    spec: str | None
    read: Callable[[Any, Reading], Any] | None
    show: Callable[[Any], Any] | None
    option: Option | None
    beside: str = ""


def field(
    description: str,
    *,
    note: str = "",
    spec: str | None = "",
    beside: str = "",
    read: Callable[[Any, Reading], Any] | None = None,
    show: Callable[[Any], Any] | None = None,
    wrong: str = "",
    option: Option | None = None,
    max_length: int | None = None,
    **schema: Any,
) -> Meta:
    """Returns what stands in a field's `Annotated`. The description is for the command line too, the `note` is not.

    `schema`: keywords of JSON Schema. A text that its `pattern` or `maxLength` there does not take is refused with
    the words `wrong`, where some are given: such a field needs no `read`. `spec` "" is the field's own name, and
    "options." a field of that name in a part of the spec.
    """
    if wrong:
        read = _matching(schema["pattern"], schema.get("maxLength"), wrong)
    told = {"spec": spec, "beside": beside, "read": read, "show": show, "option": option}
    told["description"] = description
    return Meta(
        description=f"{description} {note}".rstrip(),
        max_length=max_length,
        extra_json_schema=schema or None,
        extra={_KEY: told},
    )


def _matching(pattern: str, most: int | None, words: str) -> Callable[[str, Reading], str]:
    def read(text: str, reading: Reading) -> str:
        if not re.fullmatch(pattern, text) or (most is not None and len(text) > most):
            reading.wrong(f"{reading.name} {shown(text)} {words}")
        return text

    return read


def fields_of(kind: type[msgspec.Struct]) -> Iterator[Field]:
    """Those that are declared with `field`."""
    for info in msgspec.structs.fields(kind):
        plain, notes = unannotated(info.type)
        told = next((n.extra[_KEY] for n in notes if isinstance(n, Meta) and n.extra and _KEY in n.extra), None)
        if told is not None:
            spec = told["spec"]
            if spec is not None and (not spec or spec.endswith(".")):
                spec += info.name
            yield Field(name=info.name, json=info.encode_name, kind=plain, **{**told, "spec": spec})


def structs_in(kinds: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Returns the structs among these kinds, and those that are in them."""
    found: set[type[msgspec.Struct]] = set()
    left = list(kinds)
    while left:
        kind = left.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in found:
                found.add(kind)
                left += [info.type for info in msgspec.structs.fields(kind)]
        else:
            left += get_args(kind)
    return found


def unannotated(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations, and these."""
    if get_origin(kind) is not Annotated:
        return kind, ()
    plain, *notes = get_args(kind)
    return plain, tuple(notes)


def none_or(least: float, most: float) -> list[dict[str, float]]:
    """The schema of an amount of which 0 is no limit."""
    return [{"const": 0}, {"minimum": least, "maximum": most}]


def schema(description: str | None = None, **keywords: Any) -> Meta:
    """Describes a field, or a part of one, that is no TaskSpec's."""
    return Meta(description=description, extra_json_schema=keywords or None)


def whole_up_to(most: int) -> str:
    """The pattern of whole numbers from 0 to `most`, of no more digits than it has."""
    digits = str(most)
    parts = [rf"[0-9]{{1,{len(digits) - 1}}}"] if len(digits) > 1 else []
    for at, digit in enumerate(digits):
        if digit != "0":
            rest = len(digits) - at - 1
            parts.append(f"{digits[:at]}[0-{int(digit) - 1}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return f"({'|'.join([*parts, digits])})"


def always(default: Any) -> Any:
    """The default of a field that is shown whatever it is, of a struct that omits defaults."""
    make = default.copy if isinstance(default, list | dict) else repeat(default).__next__
    return msgspec.field(default_factory=make)


def shown_always(kind: type[msgspec.Struct], but: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct like `kind` that shows all its fields but those of the base `but`, which it omits at their
    defaults.
    """
    fields = []
    for info in msgspec.structs.fields(kind):
        if info.name in but.__struct_fields__ or info.required:
            continue
        factory = info.default_factory
        default = info.default if factory is msgspec.NODEFAULT else factory()
        fields.append((info.name, info.type, always(default)))
    return msgspec.defstruct(
        f"Shown{kind.__name__}", fields, bases=(kind,), frozen=True, rename="camel", omit_defaults=True
    )
