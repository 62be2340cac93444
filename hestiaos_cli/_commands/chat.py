"""`hestiaos chat`."""

from __future__ import annotations

import sys
from typing import cast

import click

from hestiaos_cli._command import TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._input import read_text
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import is_terminal

__all__ = ["command"]


@make_command(
    "chat",
    examples=(
        "hestiaos chat",
        'hestiaos chat "what is new?"',
        'hestiaos chat -c "and before?"',
    ),
)
@click.argument("message", cls=TextArgument, metavar="[MESSAGE]")
@click.option("--continue", "-c", "go_on", is_flag=True, help="Continue the latest conversation with this server.")
@click.option("--session-id", metavar="ID", help="The conversation to continue.")
@click.option(
    "--stream/--no-stream", default=None, help="Show the reply as it arrives; else on a terminal, where the server can."
)
@click.pass_obj
def command(settings: Settings, message: str | None, go_on: bool, session_id: str | None, stream: bool | None) -> None:
    """Send a chat message, or hold a conversation.

    MESSAGE is the argument or standard input. Without one, on a terminal, each line that you type is a message: Ctrl-C
    cancels a reply, Ctrl-D ends the conversation.
    """
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._latest_sessions import latest_session

    if go_on and session_id is not None:
        raise click.UsageError("--continue and --session-id exclude each other")
    if stream is None and (settings.json or settings.field is not None or not is_terminal(sys.stdout)):
        stream = False
    is_conversation = message is None and _is_typed()
    text = None if is_conversation else read_text(settings, message, "the message", 'hestiaos chat "hello"')
    with open_client(settings) as client:
        from hestiaos_cli._chat_session import ChatSession

        if go_on and (session_id := latest_session(settings)) is None and not is_conversation:
            raise Failure("there is no conversation with this server to continue: omit --continue")
        session = ChatSession(settings, client, session_id, stream=stream)
        if text is None:
            from hestiaos_cli._conversation import converse

            converse(settings, session)
        else:
            session.send(text)


def _is_typed() -> bool:
    return cast("object", sys.stdin) is not None and sys.stdin.isatty() and sys.stdout.isatty()
