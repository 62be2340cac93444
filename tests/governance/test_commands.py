"""What the built-in policy blocks in its many forms, and what it must not block, under both engines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.governance import texts_of
from tests.support.builtin_policies import POLICIES

DESTRUCTIVE = "destructive-shell"
DROPPED = "drop-database"
FILES = "credential-files"


def decided(value: Any) -> set[tuple[str, str | None]]:
    """The verdicts of both engines, on what `explain` and a tool's call are given."""
    decisions = [policy.decide("RUN", *texts_of(value)) for policy in POLICIES]
    return {(decision.verdict, decision.rule) for decision in decisions}


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        # percent-escapes, once and twice
        ("drop%20table users", DROPPED),
        ("DROP%09TABLE%20users", DROPPED),
        ("drop%2520table users", DROPPED),
        ("q=1;drop%0atable users", DROPPED),
        ("drop%2f%2a%2a%2ftable users", DROPPED),
        ("please+drop+table+users", DROPPED),
        ("rm%20-rf%20/", DESTRUCTIVE),
        ("rm%20-rf%20%2F", DESTRUCTIVE),
        ("rm%20-rf%20%2Ftmp%2F..", DESTRUCTIVE),
        ("cat%20%2Fetc%2Fshadow", FILES),
        ("%2e%2e/%2e%2e/etc/passwd", FILES),
        # paths in parts
        ({"path": "/etc/", "file": "shadow"}, FILES),
        ({"file": "shadow", "path": "/etc/"}, FILES),
        ({"path": "/etc", "file": "passwd"}, FILES),
        ({"dir": "/etc", "mode": "r", "name": "./sudoers"}, FILES),
        ({"folder": "~/.ssh", "name": "id_rsa"}, FILES),
        ({"folder": ".aws/", "name": "credentials"}, FILES),
        (["etc", "shadow"], FILES),
        ({"parts": ["/", "etc", "passwd"]}, FILES),
        # the same as a text
        ('{"path": "/etc/", "file": "shadow"}', FILES),
        ('{"path": "/etc", "file": "shadow"}', FILES),
        ("['/etc', 'shadow']", FILES),
        ('{"drop": "table users"}', DROPPED),
        ('{"drop": {"table": "users"}}', DROPPED),
        ('["drop", "table", "users"]', DROPPED),
        ("{'drop': 'table users'}", DROPPED),
        # SQL in parts
        ({"drop": "table users"}, DROPPED),
        ({"drop": {"table": "users"}}, DROPPED),
        ({"action": "drop", "table": "users"}, DROPPED),
        ({"statement": ["drop", "table", "users"]}, DROPPED),
        # after any word but not, never and the like
        ("delete rows and drop table users", DROPPED),
        ("and drop table users", DROPPED),
        ("; and drop table users", DROPPED),
        ("brag and drop table users", DROPPED),
        ("drag; drop table users", DROPPED),
        ("rag and drop table users", DROPPED),
        ("in the end drop table users", DROPPED),
        ("id drop table users", DROPPED),
        ("d drop table users", DROPPED),
        ("the band drop table users", DROPPED),
        ("-- drop table users", DROPPED),
        ("x=1+drop+table+users", DROPPED),
        ("(drop table users)", DROPPED),
        ("& drop table users", DROPPED),
        ("true && drop table users", DROPPED),
        ("x'drop table users", DROPPED),
        # paths that go up
        ("rm -rf /tmp/a/../..", DESTRUCTIVE),
        ("rm -rf '/tmp/x/../..'", DESTRUCTIVE),
        ('rm -rf "/tmp/x/../../"', DESTRUCTIVE),
        ("rm -rf /tmp/../etc", DESTRUCTIVE),
        ("rm -rf /tmp/a/../../etc/ssh", DESTRUCTIVE),
        ("rm -rf /home/me/../you", DESTRUCTIVE),
        ("rm -rf /..", DESTRUCTIVE),
        ("rm -rf ~/..", DESTRUCTIVE),
        ("rm -rf ~/x/..", DESTRUCTIVE),
        ("rm -rf ~/../bob", DESTRUCTIVE),
        ("rm -rf $HOME/..", DESTRUCTIVE),
        ("rm -rf ${HOME}/../x", DESTRUCTIVE),
        ("rm -rf build/..", DESTRUCTIVE),
        ("rm -rf ./a/../..", DESTRUCTIVE),
        ("rm -rf /usr/lib", DESTRUCTIVE),
        ("rm -rf /usr/lib/*", DESTRUCTIVE),
        ("rm -rf /etc/.git", DESTRUCTIVE),
        ("dd if=x of=/dev/shm/../sda", "disk-overwrite"),
        ("cat /etc/x/../shadow", FILES),
        ("cat /etc/x/../y/../shadow", FILES),
    ],
    ids=str,
)
def test_what_is_blocked(value: Any, rule: str) -> None:
    assert decided(value) == {("BLOCK", rule)}


@pytest.mark.parametrize(
    "value",
    [
        "rm -rf /tmp/a/../b",
        "rm -rf /usr/../tmp/x",
        "rm -rf /etc/../tmp/build",
        "rm -rf ~/a/../b",
        "rm -rf $HOME/a/../b",
        "rm -rf /home/me/a/../b",
        "rm -rf /home/me/p/../p/build",
        "rm -rf build/../dist",
        "cd ../.. && ls",
        "cat ../README.md",
        "see https://example.com/a/../b?x=1%202",
        {"op": "move", "from": "/tmp/a/../b", "to": "/tmp/c"},
        {"cmd": "rm", "args": ["-rf", "/tmp/a/../b"]},
        {"cmd": "rm", "args": ["-rf", "build", "dist"]},
        {"cmd": "rm -rf", "cwd": "/tmp/x", "path": "build"},
        {"cwd": "/home/me/project", "command": "rm -rf build"},
        {"cwd": "/", "command": "make clean", "target": "all"},
        {"cwd": "/", "command": "ls -rf"},
        {"base": "/var/log", "file": "../x.log"},
        {"path": "/tmp/", "file": "shadow"},
        {"path": "/etc/", "file": "hosts"},
        {"drop": "shadow", "table": "striped"},
        {"table": "drop", "name": "x"},
        {"words": ["raindrop", "table"]},
        "100% drop in table size",
        "20%20off the drop, 30%25 off the table",
        "save%20the%20report",
        "the discount is 20%, the drop is 5%, see table 3",
        "C++ table of operators",
        "a drop-down table",
        "drag and drop table rows",
        "Drag and Drop Table",
        "a drag-and-drop table component",
        "drag & drop table rows",
        "drag'n'drop table rows",
        "drag+and+drop+table",
        "you must not drop table users",
        "one can't drop table users",
        "a drop tablespace is a place",
        "Summarise the file /etc/hosts in two sentences",
        "a shadow on the path to etc",
        "What is in /etc/ssh/sshd_config?",
        "explain how ../ works in a path",
        "write a poem about a table, a drop of rain and a database",
        "translate 'the prices drop' into French",
        json.dumps({"title": "Drop", "body": "Table of contents"}),
        json.dumps({"path": "/srv/app/", "file": "config.toml"}),
        json.dumps([{"op": "replace", "path": "/a/b", "value": "drop"}, {"op": "add", "path": "/table"}]),
    ],
    ids=str,
)
def test_what_is_allowed(value: Any) -> None:
    assert decided(value) == {("ALLOW", None)}
