"""A session with a container: its purpose, and what goes each way while it lasts."""

import msgspec

MAX_COMMAND_BYTES = 32 * 1024  # all words and variables together
MAX_PATH = 4_096  # characters
MAX_NAME = 256
MAX_WINDOW = 65_535  # columns, or rows
MAX_PORT = 65_535
MOST_DATA_BYTES = 256 * 1024  # of one message

STDIN, STDOUT, STDERR = 0, 1, 2


class Exec(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A program beside the container's own. `env` holds NAME=VALUE. `user` and `workdir` "" are the container's.
    A window of 0 columns is not known.
    """

    command: tuple[str, ...]
    tty: bool = False
    stdin: bool = False
    user: str = ""
    workdir: str = ""
    env: tuple[str, ...] = ()
    columns: int = 0
    rows: int = 0


class Connect(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A TCP connection to a port of the container."""

    port: int


class GetFiles(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A file or a folder of the container, as a tar."""

    path: str


class PutFiles(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A tar, to be unpacked into a folder of the container."""

    path: str


Purpose = Exec | Connect | GetFiles | PutFiles


class Began(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The engine has opened the session."""


class Output(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """`stream` is STDOUT or STDERR. All but programs without a terminal have the first alone."""

    stream: int
    data: bytes


class Exited(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The last message. 0 for all but programs."""

    code: int


class Alive(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """There is nothing new."""


Said = Began | Output | Exited | Alive


class Input(msgspec.Struct, frozen=True, array_like=True, tag=1):
    data: bytes


class Resize(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The size of the terminal's window has changed."""

    columns: int
    rows: int


class InputEnd(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """No more input comes. The output goes on."""


Typed = Input | Resize | InputEnd


def purpose_fault(purpose: Purpose) -> str:
    """Says what is wrong with it, "" when nothing is."""
    match purpose:
        case Exec():
            return _exec_fault(purpose)
        case Connect(port):
            return "" if 0 < port <= MAX_PORT else f"port {port} is none: they go from 1 to {MAX_PORT}"
        case GetFiles(path) | PutFiles(path):
            if not path.startswith("/") or "\0" in path:
                return f"{path[:80]!r} is no path in a container: it begins with /"
            return "" if len(path) <= MAX_PATH else f"a path has at most {MAX_PATH} characters"


def _exec_fault(purpose: Exec) -> str:
    texts = (*purpose.command, *purpose.env)
    if not purpose.command or not purpose.command[0]:
        return "there is no command to run"
    if sum(len(text.encode(errors="surrogatepass")) + 1 for text in texts) > MAX_COMMAND_BYTES:
        return f"the command and its variables are larger than {MAX_COMMAND_BYTES} bytes"
    if any("\0" in text for text in (*texts, purpose.user, purpose.workdir)):
        return "a zero byte can't be part of a command"
    if unnamed := next((text for text in purpose.env if text.partition("=")[0] == "" or "=" not in text), ""):
        return f"{unnamed[:80]!r} is no variable: write NAME=VALUE"
    if purpose.workdir and not purpose.workdir.startswith("/"):
        return f"{purpose.workdir[:80]!r} is no folder in a container: it begins with /"
    if len(purpose.user) > MAX_NAME or len(purpose.workdir) > MAX_PATH:
        return "the user's name or the folder's path is too long"
    return window_fault(purpose.columns, purpose.rows)


def window_fault(columns: int, rows: int) -> str:
    if 0 <= columns <= MAX_WINDOW and 0 <= rows <= MAX_WINDOW:
        return ""
    return f"no window has {columns} columns and {rows} rows"
