"""`orion completion`."""

import click

from orion.cli.shared.options import command


@command(
    epilog="""\b
Add one of these to your shell's start-up file:
  bash (~/.bashrc)   eval "$(orion completion bash)"
  zsh  (~/.zshrc)    eval "$(orion completion zsh)"
  fish (~/.config/fish/config.fish)   orion completion fish | source
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's completion script."""
    from click.shell_completion import get_completion_class

    from orion.cli.app import COMPLETE_VAR, orion

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(orion, {}, "orion", COMPLETE_VAR).source())
