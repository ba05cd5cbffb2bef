"""A container's program: what it is, how it is run, and where its output goes."""

from typing import Annotated

import msgspec

from orion.model.api.container.rules import ABSOLUTE_PATH, apart, item, one_of, option, pairs, text, texts
from orion.model.api.fields import Option, Reading, schema, whole_up_to
from orion.model.api.words import Word
from orion.model.container_options import MACHINES
from orion.model.limits import MAX_STRING_BYTES, MAX_WORDS
from orion.model.templates import unknown_in, unknown_words

MAX_LABELS = 256
MAX_GROUPS = 64
_NAME = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,127}\$?"
GROUP = rf"({whole_up_to(2**31 - 1)}|(?![0-9]+$){_NAME})"
# As RFC 1123 has it, of 64 characters in all: Linux has room for no more.
_PART = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN = rf"{_PART}(\.{_PART})*"
MAX_DOMAIN = 64
LABEL = r"(?!(dev\.orion|com\.docker)\.)[!-<>-~]+"
LABEL_WORDS = (
    "can't be a container's label: use letters, digits and signs, without a blank and '=', and begin it neither "
    "with dev.orion. nor with com.docker., which are Orion's and Docker's own"
)
_SIGNALS = (
    "ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|"
    "TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ"
)
SIGNAL = rf"(SIG)?({_SIGNALS}|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)|[1-9]|[1-5][0-9]|6[0-4]"
RUNTIME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,52}[A-Za-z0-9])?"  # fits a node's label
DRIVER = r"[a-z0-9]([a-z0-9._/-]{0,126}[a-z0-9])?(:[A-Za-z0-9._-]{1,64})?"

_Text = Annotated[str, schema(pattern=r"^[^\x00]*$", maxLength=16_384)]


def read_entrypoint(words: list[str], reading: Reading) -> tuple[str, ...]:
    if len(words) > MAX_WORDS:
        reading.wrong(f"{reading.name} has {len(words):,} words; a task can have {MAX_WORDS:,}")
        return ()
    if len(words) > 1 and not words[0]:
        reading.wrong(f"{reading.name} starts with an empty word: name a program first, or leave all others out", 0)
    for at, word in enumerate(words):
        if "\0" in word or len(word.encode("utf-8", "surrogatepass")) > MAX_STRING_BYTES:
            reading.wrong(
                f"word {at} of {reading.name} can't be given to a program: it holds a zero byte, or is longer than "
                f"Linux allows ({MAX_STRING_BYTES} bytes)",
                at,
            )
    return tuple(words)


def read_read_only(on: bool, reading: Reading) -> bool:
    if on:
        files = any(ref.path for ref in reading.request.configs)
        apart(reading, (files, "a config as a file (Docker puts none into it): give it as a variable"))
    return on


def _refuse_unknown_template(key: str, value: str, reading: Reading) -> None:
    if (unknown := unknown_in(value)) is not None:
        reading.wrong(f"{reading.name} {key[:80]} {unknown_words(unknown)}", key)


# The options of Docker's own two drivers, which it checks.
_OWN_OPTIONS = frozenset({"max-size", "max-file", "compress", "mode", "max-buffer-size"})
_JSON_FILE = _OWN_OPTIONS | {"labels", "labels-regex", "env", "env-regex", "tag"}
_LOG_OPTIONS = {"": _JSON_FILE, "json-file": _JSON_FILE, "local": _OWN_OPTIONS, "none": frozenset[str]()}


def _refuse_log_option(name: str, _: str, reading: Reading) -> None:
    driver = reading.request.log_driver
    known = _LOG_OPTIONS.get(driver)
    if known is not None and name not in known:
        knows = f"it knows {', '.join(sorted(known))}" if known else "it takes none"
        reading.wrong(
            f"{reading.name} {name} is not known to the log driver {driver or 'json-file'}: {knows}", name
        )


class ProgramFields(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    entrypoint: Annotated[
        list[Word],
        option(
            "The program that gets the command as its arguments, in place of the image's own.",
            note='Empty: the image\'s own; of one empty word, [""]: none. A task with one of its own gets no '
            "command of the image's.",
            read=read_entrypoint,
            show=list,
            max_length=MAX_WORDS,
            option=Option(("--entrypoint",), "PROGRAM", "program", also='"" for none.', default="the image's"),
        ),
    ] = []
    working_dir: Annotated[
        str,
        option(
            "The folder that its program begins in, which is made if it is missing.",
            note="Empty: the image's own.",
            **text(ABSOLUTE_PATH, "is not a folder's path: write it from the root, as in /srv/app"),
            option=Option(("-w", "--workdir"), "PATH", default="the image's"),
        ),
    ] = ""
    labels: Annotated[
        dict[str, _Text],
        option(
            "Labels of its container.",
            **pairs(
                LABEL,
                LABEL_WORDS,
                r"[^\x00]*",
                "holds a zero byte, or is longer than 16,384 characters",
                most=MAX_LABELS,
                also=_refuse_unknown_template,
                longest=16_384,
            ),
            option=Option(("-l", "--label"), "NAME[=VALUE]", "word"),
        ),
    ] = {}
    init: Annotated[
        bool,
        option(
            "Docker's small init is its first process: it passes signals on and buries what its program leaves.",
            option=Option(("--init",)),
        ),
    ] = False
    tty: Annotated[bool, option("Its program has a terminal.", option=Option(("-t", "--tty")))] = False
    stdin_open: Annotated[
        bool,
        option("Its standard input stays open, with nobody writing to it.", option=Option(("-i", "--interactive"))),
    ] = False
    read_only: Annotated[
        bool,
        option(
            "Nothing in its root file system can be written.", read=read_read_only, option=Option(("--read-only",))
        ),
    ] = False
    stop_signal: Annotated[
        str,
        option(
            "The signal that asks it to end.",
            note="Empty: the image's own, else SIGTERM.",
            **text(SIGNAL, "is no signal: write its name or number, as in SIGINT, SIGRTMIN+3 or 2", most=16),
            option=Option(("--stop-signal",), "SIGNAL", default="the image's, else SIGTERM"),
        ),
    ] = ""
    group_add: Annotated[
        list[Annotated[str, item(GROUP)]],
        option(
            "More groups of its program's user: names of the image's, or numbers.",
            **texts(GROUP, "is no group: write a name or a number up to 2147483647", most=MAX_GROUPS),
            option=Option(("--group-add",), "GROUP"),
        ),
    ] = []
    domainname: Annotated[
        str,
        option(
            "Its container's NIS domain name.",
            **text(
                DOMAIN,
                f"is no domain name: write letters, digits and hyphens, with dots between, and {MAX_DOMAIN} in all",
                most=MAX_DOMAIN,
            ),
            option=Option(("--domainname",), "NAME"),
        ),
    ] = ""
    pull_policy: Annotated[
        str,
        option(
            "Whether its image is pulled: when the node lacks it (missing), before each container that is made "
            "(always), or not at all (never).",
            note="Empty: missing.",
            **one_of("always", "never", "missing"),
            option=Option(("--pull",), kind="choice", choices=("always", "missing", "never"), default="missing"),
        ),
    ] = ""
    platform: Annotated[
        str,
        option(
            "The platform of its image. Only nodes whose machine is one run it.",
            note="Empty: the node's own.",
            **one_of(*MACHINES),
            option=Option(("--platform",), "OS/ARCH", default="the node's"),
        ),
    ] = ""
    runtime: Annotated[
        str,
        option(
            "The runtime that makes its container, of those that its node's engine is set up with.",
            note="Empty: the engine's default.",
            **text(RUNTIME, "is no runtime's name: write it as in runsc or io.containerd.kata.v2", most=54),
            option=Option(("--runtime",), "NAME", default="the engine's"),
        ),
    ] = ""
    log_driver: Annotated[
        str,
        option(
            "Docker's log driver for its output.",
            note="Empty: json-file, three files of 10 MB.",
            **text(DRIVER, "is no log driver's name: write it as in local, journald or none", most=193),
            option=Option(("--log-driver",), "DRIVER", default="json-file, three files of 10 MB"),
        ),
    ] = ""
    log_options: Annotated[
        dict[str, _Text],
        option(
            "Options of its log driver.",
            **pairs(
                "[a-z0-9][a-z0-9_.-]*",
                "is no option of a log driver: write it as in max-size",
                r"[^\x00]*",
                "holds a zero byte, or is too long",
                also=_refuse_log_option,
                most=64,
            ),
            option=Option(("--log-opt",), "NAME=VALUE", "word"),
        ),
    ] = {}
