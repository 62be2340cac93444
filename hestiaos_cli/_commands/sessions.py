"""`hestiaos sessions`."""

from __future__ import annotations

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._options import CONNECTION
from hestiaos_cli._output import print_fields, remark
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_LAST = 20


@click.group("sessions", cls=Group)
def command() -> None:
    """Show and delete conversations.

    'hestiaos chat --session-id ID' continues one.
    """


@make_command("list")
@click.option(
    "--last", type=WholeNumber(1, 1000), default=_LAST, show_default=True, metavar="N", help="How many to list."
)
@click.option("--before", metavar="ID", help="List only conversations last used before this one.")
@click.pass_obj
def _list(settings: Settings, last: int, before: str | None) -> None:
    """List conversations, the most recently used first."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._lists import for_people, print_list

    with open_client(settings, looks_only=True) as client, waiting():
        sessions = client.chat.sessions(last, before)
    rows = for_people(settings, [each.to_dict() for each in sessions], "last_used")
    print_list(settings, rows, "last_used", "session_id", "message_count", empty="there are no conversations")


@make_command("show")
@click.argument("session_id", metavar="ID")
@click.option("--last", type=WholeNumber(1), metavar="N", help="Show only the newest N messages; else all.")
@click.pass_obj
def _show(settings: Settings, session_id: str, last: int | None) -> None:
    """Print a conversation's messages."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._replies import Message

    with open_client(settings, looks_only=True) as client:
        with waiting():
            session = client.chat.session(session_id, last)
        messages = map(Message.from_wire, session.messages or [])
        said = "\n".join(f"{each.role}: {each.content}" for each in messages)
        print_fields(settings, session.to_dict(), answer=said)


@make_command("delete", takes=CONNECTION)
@click.argument("session_id", metavar="ID")
@click.pass_obj
def _delete(settings: Settings, session_id: str) -> None:
    """Delete a conversation with its messages."""
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client, waiting():
        client.chat.delete_session(session_id)
    remark(settings, f"the conversation {session_id} is deleted")


for _each in (_list, _show, _delete):
    command.add_command(_each)
