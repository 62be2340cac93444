"""Standard streams that cannot be written or read: never a traceback, never a result that is lost with status 0."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.broad import BROAD
from tests.support.command_line import PROGRAM, shell

pytestmark = [
    BROAD,
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full"),
]


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("arguments", ["--help", "--version", "--local run x", "--local run x --stream --json"])
def test_an_answer_that_cannot_be_written_is_a_failure(arguments: str, redirection: str) -> None:
    done = shell(f"hestiaos {arguments} {redirection}")
    (line,) = done.stderr.splitlines()
    assert done.status == 1
    assert line.startswith("Error: standard output cannot be written: ")


def test_an_error_never_lands_in_a_file_of_the_command(home: Path) -> None:
    """With descriptor 2 closed, the store must not be given it."""
    done = shell("hestiaos --local run x 2>&-; hestiaos --local run 'rm -rf /' 2>&-; echo $?; hestiaos --local health")
    assert done.stdout.startswith("processed: x\n1\nstatus: ok\n")
    assert done.stderr == ""
    (store,) = home.rglob("*.sqlite3")
    assert b"Error: " not in store.read_bytes()


def test_the_status_tells_where_standard_error_cannot() -> None:
    done = shell("hestiaos --local run 'rm -rf /' 2>/dev/full")
    assert (done.status, done.stdout) == (1, "")


def test_standard_input_is_closed() -> None:
    done = shell("hestiaos --local run <&-; hestiaos --local run x <&-")
    assert "nothing came" in done.stderr or "standard input is closed" in done.stderr
    assert done.stdout == "processed: x\n"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="there are no such pipes")
def test_a_pipe_that_is_closed_ends_it_quietly() -> None:
    done = shell("hestiaos --local batch - </etc/services | head -1; echo ${PIPESTATUS[0]}", name="bash")
    assert done.stdout.splitlines()[1] == str(128 + signal.SIGPIPE)
    assert done.stderr == ""


def test_a_pipe_without_a_reader() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run([PROGRAM, "--help"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (process.returncode, process.stderr) == (-signal.SIGPIPE, b"")
