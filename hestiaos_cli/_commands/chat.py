"""`hestiaos chat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from hestiaos_cli._command import TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._input import read_text
from hestiaos_cli._output import print_fields, remark, rounded
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos_proto import ChatResponse

__all__ = ["command"]


@make_command("chat")
@click.argument("message", cls=TextArgument, metavar="[MESSAGE]")
@click.option("--continue", "-c", "go_on", is_flag=True, help="Continue the latest conversation with this server.")
@click.option("--session-id", metavar="ID", help="The conversation to continue.")
@click.pass_obj
def command(settings: Settings, message: str | None, go_on: bool, session_id: str | None) -> None:
    """Send a chat message, or hold a conversation.

    MESSAGE is the argument or standard input. Without one, on a terminal, each line that you type is a message: Ctrl-C
    cancels an answer, Ctrl-D leaves.
    """
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._latest_sessions import latest_session, remember_session

    if go_on and session_id is not None:
        raise click.UsageError("--continue and --session-id exclude each other")
    if message is None and _is_conversation():
        from hestiaos_cli._conversation import converse

        with open_client(settings) as client:
            converse(settings, client, latest_session(settings) if go_on else session_id)
        return
    text = read_text(settings, message, "the message", 'hestiaos chat "hello"')
    with open_client(settings) as client:
        if go_on and (session_id := latest_session(settings)) is None:
            raise Failure("there is no conversation with this server to continue: leave --continue out")
        with waiting():
            reply = client.chat.run(text, session_id)
    remember_session(settings, reply.session_id)
    print_fields(settings, reply.to_wire(), answer=reply.result)
    remark(settings, *facts(reply))


def facts(reply: ChatResponse) -> list[str | None]:
    """What is remarked on a reply."""
    return [
        f"{rounded(reply.processing_time * 1000)} ms" if reply.processing_time is not None else None,
        f"session {reply.session_id}",
        f"trace {reply.trace_id}" if reply.trace_id else None,
    ]


def _is_conversation() -> bool:
    return cast("object", sys.stdin) is not None and sys.stdin.isatty() and sys.stdout.isatty()
