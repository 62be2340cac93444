"""`hestiaos sessions`, of a served platform and of `--local`."""

from __future__ import annotations

import re

import pytest

from tests.support.command_line import invoke

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(params=["served", "local"])
def where(request: pytest.FixtureRequest) -> list[str]:
    """The options that name the platform."""
    return ["-u", request.getfixturevalue("server_url")] if request.param == "served" else ["--local"]


def test_conversations_are_listed_shown_and_deleted(where: list[str]) -> None:
    assert invoke("sessions", "list", *where).stdout == ""
    for session, message in (("a", "one"), ("b", "two"), ("a", "thr\x1bee")):
        assert invoke("chat", message, "--session-id", session, *where).status == 0
    listed = invoke("sessions", "list", *where).stdout.splitlines()
    assert [re.sub(r"^\d\d-\d\d \d\d:\d\d:\d\d", "", line) for line in listed] == ["  a  4", "  b  2"]
    assert invoke("sessions", "list", "--last", "1", *where, "-q", "session_id").stdout == "a\n"
    assert invoke("sessions", "list", "--before", "a", *where, "-q", "session_id").stdout == "b\n"
    assert invoke("sessions", "show", "b", *where).stdout == "user: two\nassistant: processed: two\n"
    shown = invoke("sessions", "show", "a", "--last", "1", *where, "--json").json
    assert shown["messages"] == [{"role": "assistant", "content": "processed: thr\x1bee"}]
    assert invoke("sessions", "delete", "a", *where).status == 0
    assert invoke("sessions", "list", *where, "-q", "session_id").stdout == "b\n"
    assert "NOT_FOUND" in invoke("sessions", "show", "a", *where).error
