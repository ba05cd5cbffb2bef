"""The top of the command line: the choice of the command, and words for failures."""

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from orion import __version__

# name -> module below orion.cli.commands, and the line that `orion --help` shows without loading it. A command
# whose name is its module's needs no line here: `orion --help` has it behind these, with its own first line.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Start a container somewhere in the cluster."),
    "ps": ("tasks", "List tasks: what runs, where, and why not."),
    "logs": ("logs", "Show what tasks have written."),
    "exec": ("exec", "Run a program in a task's container, wherever that is."),
    "cp": ("cp", "Copy files out of a task's container, or into it."),
    "stats": ("stats", "Show what tasks use: processor, memory, network, disks."),
    "port-forward": ("forward", "Bring ports of a task's container to this machine."),
    "deploy": ("deploy", "Have jobs run as files describe them."),
    "plan": ("plan", "Show what a deploy of files would change, and change nothing."),
    "update": ("changes", "Change a job's tasks, one after the other, without a gap."),
    "scale": ("changes", "Have so many tasks of a job."),
    "rollback": ("changes", "Take a job back to its last version that was healthy."),
    "restart": ("changes", "Replace a job's tasks by new ones, one after the other, without a gap."),
    "promote": ("changes", "Have the rest follow the canaries, or a paused deployment go on."),
    "inspect": ("tasks", "Show all that is known of a task."),
    "stop": ("lifecycle", "Stop tasks, or whole jobs, and keep them, to be started again."),
    "start": ("lifecycle", "Start tasks, or whole jobs, that were stopped, or have ended."),
    "wait": ("lifecycle", "Wait until tasks have ended; the exit code is the program's."),
    "rm": ("lifecycle", "Stop tasks, or whole jobs, and forget them."),
    "config": ("config", "Keep small values for tasks to read."),
    "events": ("events", "Tell what has happened in the cluster."),
    "top": ("top", "Show the cluster in this terminal, as it changes."),
    "network": ("network", "Make and show the cluster's networks, and which node has which addresses."),
    "volume": ("volume", "Make, show, move and remove volumes: data that outlives tasks."),
    "plugin": ("plugin", "Show storage plugins (CSI)."),
    "front-door": ("front_door", "Print a job by which requests reach other jobs by host names, with TLS."),
    "members": ("nodes", "Show who is in the cluster and who is alive."),
    "nodes": ("nodes", "List nodes and what they have to give; label or forget one."),
    "drain": ("nodes", "Move a node's tasks elsewhere, before work on it."),
    "ready": ("nodes", "Give a drained node work again."),
    "raft": ("raft", "Show who leads and who votes; hand over leadership; recover from a lost quorum."),
    "snapshot": ("snapshot", "Save the whole state to a file; begin a new cluster from one."),
    "version": ("version", "Print the version."),
    "completion": ("completion", "Print a shell's completion script."),
}
NODE = "node"  # the module of what `orion` does without a command
HELP = ("-h", "--help")
HELP_COMMAND = "help"  # orion help run: the same as orion run --help
COMPLETE_VAR = "_ORION_COMPLETE"
# Exit codes, beside 0: done, 1: not done, 2: bad usage.
TIMED_OUT = 4
INTERRUPTED = 130
SETTINGS = {"help_option_names": list(HELP), "max_content_width": 110}


_HELP_TEXT = """Run containers on a few servers as if they were one machine.

Every server runs `orion`; together they keep your containers running when one of them dies.

\b
Start a cluster on this machine, run something, look at it:
  orion --id node1 --bootstrap
  orion run -p 8080:80 --wait nginx
  orion ps
"""


class _Commands(click.Group):
    """A group that loads a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [*COMMANDS, *found()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name in COMMANDS:
            name, _ = COMMANDS[cmd_name]
        elif cmd_name in found():
            name = cmd_name
        else:
            return None
        from importlib import import_module

        module = import_module(f"orion.cli.commands.{name}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and args[0] not in found() and not ctx.resilient_parsing:
            raise click.UsageError(f"{args[0]!r} is not a command{_meant(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]", "Usage:   ")
        formatter.write_usage(ctx.command_path, "[NODE FLAGS]    (runs a node)", "         ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from orion.cli.commands.node import node

        with formatter.section("Commands ('orion help COMMAND' says more)"):
            formatter.write_dl([(name, self._line(ctx, name)) for name in self.list_commands(ctx)])
        records = [r for p in (*node.params, *self.get_params(ctx)) if (r := p.get_help_record(ctx))]
        with formatter.section("Flags of a node (each is also ORION_<FLAG> in the environment)"):
            formatter.write_dl(records)

    def _line(self, ctx: click.Context, name: str) -> str:
        if name in COMMANDS:
            return COMMANDS[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=200) if command else ""


def _meant(word: str) -> str:
    import difflib

    from orion.cli.shared import other_tools

    if elsewhere := other_tools.hint(word):
        return f": {elsewhere}"
    close = difflib.get_close_matches(word, [*COMMANDS, *found(), HELP_COMMAND], n=1)
    return f": did you mean {close[0]}?" if close else ""


def found() -> list[str]:
    """The commands that COMMANDS does not name, from the names of their modules: none of them is loaded."""
    import pkgutil

    from orion.cli import commands

    listed = {module for module, _ in COMMANDS.values()} | {NODE}
    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__) if module.name not in listed)


@click.group(cls=_Commands, context_settings=SETTINGS, no_args_is_help=False, help=_HELP_TEXT)
@click.version_option(__version__, prog_name="orion", message="%(prog)s %(version)s")
def orion() -> None: ...


def run(args: Sequence[str]) -> int:
    """Runs the command line `args`. Returns its exit code."""
    if args and args[0] == HELP_COMMAND:
        args = (*args[1:], HELP[0])
    command: click.Command = orion
    if _means_node(args):
        from orion.cli.commands.node import node

        command = node
    else:
        _stand_in_for_closed_streams()
    try:
        code = command.main(list(args), prog_name="orion", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError:  # a group alone
        return run((*args, HELP[0]))
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        return _fail(error.format_message())
    except click.Abort as error:
        return _aborted(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        words = _words(error, of_node=command is not orion)
        if words is None:
            raise
        return _fail(words)
    return code if isinstance(code, int) else 0


def _means_node(args: Sequence[str]) -> bool:
    if COMPLETE_VAR in os.environ:  # a shell asks for completions, without arguments
        return False
    if not args:
        return True
    return args[0].startswith("-") and not {*HELP, "--version"} & set(args)


def _stand_in_for_closed_streams() -> None:
    """Replaces standard streams that the shell has closed (<&-). Python has None for them; reads and writes then
    fail with an error that can be told.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY), "r")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")


def _aborted(error: click.Abort) -> int:
    """Returns the exit code of an aborted command. After a Ctrl-C, which click names as the cause, nothing is said.
    Else a question had no answer, and the error's context tells a Ctrl-C from the end of the input.
    """
    if error.__cause__ is None:
        click.echo(err=True)  # the question's line has not ended
        say("nothing was changed")
    left = isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
    return INTERRUPTED if left else 1


def _words(error: Exception, *, of_node: bool) -> str | None:
    """Returns the error in one line; None for a bug, which shows its traceback."""
    # Loaded here, because it costs as much as all of `orion version`.
    from orion.model.errors import OrionError

    if isinstance(error, OrionError):
        return error.detail
    # A node has its own words for errors of its machine that it expects. Any other is a bug there.
    return None if of_node else _words_of_the_machine(error)


def _words_of_the_machine(error: Exception) -> str | None:
    if isinstance(error, OSError):
        _drop_output()
        return f"{error.filename or 'reading or writing failed'}: {error.strerror or error}"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[:80]!r} can't be written as {error.encoding}: {error.reason}"
    return str(error) if isinstance(error, UnicodeError) else None


def _drop_output() -> None:
    """Drops output that standard output did not take. Python would try to write it again at its end, and show a
    traceback.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: click.UsageError) -> int:
    path = error.ctx.command_path if error.ctx else "orion"
    text = error.format_message().rstrip(".")
    if not text[:2].isupper():  # an argument: IMAGE
        text = f"{text[:1].lower()}{text[1:]}"
    say(f"{text} (see '{path} --help')")
    return 2


def _fail(text: str) -> int:
    say(text)
    return 1


def say(text: str) -> None:
    """Writes one line about a failure to standard error."""
    click.echo(f"orion: {' '.join(text.split())}", err=True)
