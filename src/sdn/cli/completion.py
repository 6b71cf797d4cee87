"""`sdn completion`: what makes the shell complete verbs, options, labs and workloads."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      sdn completion bash > ~/.local/share/bash-completion/completions/sdn
      sdn completion zsh  > ~/.zfunc/_sdn        with ~/.zfunc in fpath
      sdn completion fish > ~/.config/fish/completions/sdn.fish
    """
    group = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "sdn", "_SDN_COMPLETE").source())
