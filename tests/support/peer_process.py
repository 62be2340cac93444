"""A peer in a process of its own: what a client forks has no part of it.

A child has the locks of its parent's OpenSSL as they were at the fork. Was a server's thread inside, then the child
waits for ever in its own handshake, and no client can mend that.
"""

from __future__ import annotations

import pickle
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from tests.support.peer import Peer, good_answer
from tests.support.steps import Request, Script, pause

_ROOT = Path(__file__).parents[2]


class PeerProcess:
    """A peer that gives good answers, each after a moment, in which the client waits."""

    def __init__(self, *, tls: bool) -> None:
        program = [sys.executable, "-m", __name__, "https" if tls else "http"]
        self._process = subprocess.Popen(program, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self.url: str
        self.url, authority = pickle.load(self._answers)
        self.trusting = ssl.create_default_context(cadata=authority)
        """What a client trusts it by."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.communicate()
        assert self._process.returncode == 0, "the peer failed"

    @property
    def requests(self) -> list[Request]:
        """Those that have arrived."""
        self._questions.write(b"\n")
        self._questions.flush()
        requests: list[Request] = pickle.load(self._answers)
        return requests


def answer(request: Request) -> Script:
    """A good answer after a moment, in which the client waits."""
    return [pause(0.002), *good_answer(request)]


def _serve(*, tls: bool) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Peer(answer=answer, tls=context if tls else None) as peer:
        _tell((peer.url, authority.cert_pem.bytes().decode()))
        for _ in sys.stdin:
            _tell(peer.requests)


def _tell(what: object) -> None:
    pickle.dump(what, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve(tls=sys.argv[1] == "https")
