"""`hestiaos completion`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._output import print_text

__all__ = ["command"]


@make_command("completion", takes=frozenset())
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    In ~/.bashrc:
      eval "$(hestiaos completion bash)"
    In ~/.zshrc:
      eval "$(hestiaos completion zsh)"
    In ~/.config/fish/config.fish:
      hestiaos completion fish | source
    """
    from click.shell_completion import get_completion_class

    from hestiaos_cli._app import app

    completion = get_completion_class(shell)
    assert completion is not None, "Click knows all three"
    print_text(completion(app, {}, "hestiaos", "_HESTIAOS_COMPLETE").source())
