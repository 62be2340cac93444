"""Everything that can go wrong at the prompt, by the name that it has in docs/guides/command-line-errors.md."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from attrs import field, frozen

from hestiaos_local.testing import ScriptedPlatform
from tests.support.peer import Peer
from tests.support.ports import full_backlog, refusing_url
from tests.support.postgres import GUARDED, server_or_skip
from tests.support.steps import Script, Step, close, flood, reset, send, silence
from tests.support.wire import DONE, RUN, START, STREAM_HEAD, TOKEN, chunk, event, ok, response, stream, to_json

__all__ = ["SCENES", "Scene"]

Facts = Mapping[str, str]


Stage = Callable[[Path], AbstractContextManager[Facts]]
"""Makes a world in a folder, for a `with` block. Gives what a scene's words stand on; `url` is the server's."""


@frozen
class Scene:
    """What is typed in which world, `{…}` in it standing for a fact."""

    typed: str
    stage: Stage
    environ: Mapping[str, str] = field(factory=dict)
    stdin: bytes = b""

    @contextmanager
    def set(self, folder: Path) -> Iterator[tuple[list[str], dict[str, str], Facts]]:
        """The arguments, the environment and the facts, for a `with` block."""
        with self.stage(folder) as known:
            facts = {"empty": "", "deletion": "rm -rf /", "folder": str(folder), **known}
            arguments = [word.format(**facts) for word in self.typed.split()]
            yield arguments, {name: value.format(**facts) for name, value in self.environ.items()}, facts


@contextmanager
def nothing(folder: Path) -> Iterator[Facts]:
    """No server at all."""
    yield {}


@contextmanager
def port_in_use(folder: Path) -> Iterator[Facts]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield {"port": str(listener.getsockname()[1])}


def at(url: str) -> Stage:
    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        yield {"url": url}

    return stage


@contextmanager
def hanging(folder: Path) -> Iterator[Facts]:
    with full_backlog() as url:
        yield {"url": url}


def peer(*script: Step, opening: Script = (), scheme: str = "http") -> Stage:
    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        with Peer(script, opening=opening) as served:
            yield {"url": f"{scheme}://{served.authority}"}

    return stage


def tls(name: str, *, scheme: str = "https") -> Stage:
    """A server with a certificate for `name`, whose authority is in the file `ca`."""

    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        authority.cert_pem.write_to_path(folder / "ca.pem")
        with Peer(tls=context) as served:
            yield {"url": f"{scheme}://{served.authority}", "ca": str(folder / "ca.pem")}

    return stage


def scripted(script: Callable[[ScriptedPlatform], object]) -> Stage:
    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        with ScriptedPlatform() as platform:
            script(platform)
            yield {"url": platform.url}

    return stage


def file(name: str, text: str) -> Stage:
    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        (folder / name).write_text(text)
        yield {name.partition(".")[0]: str(folder / name)}

    return stage


@contextmanager
def no_psycopg(folder: Path) -> Iterator[Facts]:
    if find_spec("psycopg") is not None:
        pytest.skip("psycopg is installed")
    yield {}


@contextmanager
def no_postgresql(folder: Path) -> Iterator[Facts]:
    pytest.importorskip("psycopg")
    yield {"url": f"postgresql://hestia@{urlsplit(refusing_url()).netloc}/hestia"}


def postgresql(database: str = "postgres", user: str = "hestia") -> Stage:
    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        yield {"url": server_or_skip().url(database, user)}

    return stage


def answered(status: int, body: Any = None, *headers: str, page: bytes | None = None) -> Scene:
    """A run that is answered so."""
    if page is not None:
        return Scene(RUNS, peer(send(response(status, page, *headers, content_type="text/html"))))
    return Scene(RUNS, peer(send(response(status, b"" if body is None else to_json(body), *headers))))


def with_body(body: bytes, *headers: str) -> Scene:
    return Scene(RUNS, peer(send(response(200, body, *headers))))


def replied(typed: str, body: Any) -> Scene:
    """A command whose request has this response."""
    return Scene(f"{typed} -u {{url}}", peer(send(ok(body))))


def decisions(*records: Any) -> Stage:
    """A server whose audit has these records, and the file of a policy."""
    page = {"records": [{"number": n, "record": each} for n, each in enumerate(records, 1)], "next": None}

    @contextmanager
    def stage(folder: Path) -> Iterator[Facts]:
        with peer(send(ok(page)))(folder) as served, file("policy.toml", POLICY)(folder) as written:
            yield {**served, **written}

    return stage


def streamed(*steps: Step, typed: str = "run x --stream -u {url}") -> Scene:
    return Scene(typed, peer(*steps))


RUNS = "run x -u {url}"
POLICY = (
    "version = 2\n[[rules]]\nname = 'no-deletes'\non = 'input'\npattern = 'rm -rf'\ndecision = 'BLOCK'\nreason = 'no'\n"
)
GOOD = ok(RUN)
FAILED = {"type": "error", "data": {"code": "MODEL_FAILED", "message": "the model broke", "trace_id": "a23c"}}
BLOCKED = {"rule": "no-deletes", "reason": "it deletes files", "risk_score": 0.9}

SCENES: dict[str, Scene] = {
    # The way to the server.
    "nothing listens there": Scene(RUNS, at(refusing_url())),
    "no such host": Scene(RUNS, at("http://hestia.invalid")),
    "the connection is not accepted in time": Scene(f"{RUNS} --timeout 0.2", hanging),
    "a certificate of an unknown authority": Scene(RUNS, tls("127.0.0.1")),
    "a certificate for another host": Scene(f"{RUNS} --cacert {{ca}}", tls("elsewhere.example")),
    "HTTP is spoken at an https:// URL": Scene(
        RUNS, peer(opening=[send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), close], scheme="https")
    ),
    "TLS is spoken at an http:// URL": Scene(RUNS, tls("127.0.0.1", scheme="http")),
    "the proxy does not answer": Scene(RUNS, at("http://hestia.example"), {"HTTP_PROXY": "http://127.0.0.1:1"}),
    "the proxy's URL is wrong": Scene(RUNS, at("http://hestia.example"), {"HTTP_PROXY": "http://127.0.0.1:99999"}),
    "not a URL": Scene("run x", nothing, {"HESTIAOS_BASE_URL": "hestia.example"}),
    "an empty URL": Scene("run x -u {empty}", nothing),
    "a key that no header can hold": Scene("run x -k schlüssel -u :8000", nothing),
    "a file of authorities that is missing": Scene("run x --cacert /nowhere -u :8000", nothing),
    "no authorities at all": Scene(RUNS, at("https://localhost:8000"), {"SSL_CERT_FILE": "/nowhere"}),
    # The response.
    "the server ends the connection": Scene(RUNS, peer(close)),
    "the connection ends in the middle": Scene(RUNS, peer(send(GOOD[:-5]), close)),
    "the connection is reset": Scene(RUNS, peer(reset)),
    "the server says nothing": Scene(f"{RUNS} --timeout 0.2", peer(silence)),
    "it is not HTTP": Scene(RUNS, peer(send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), close)),
    "headers without an end": Scene(RUNS, peer(send(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000), close)),
    "an empty response": with_body(b""),
    "a web page instead of the API": answered(200, page=b"<html>Welcome to nginx!"),
    "not JSON": with_body(b"{oops"),
    "not UTF-8": with_body(b'{"result": "\xff"}'),
    "a field is missing": with_body(to_json({"result": "x"})),
    "a field of another type": with_body(to_json({**RUN, "result": 7})),
    "limits of another form": replied("governance limits", {"limits": [{"name": "hourly", "per": "key"}]}),
    "conversations of another form": replied(
        "sessions show s", {"session_id": "s", "last_used": "now", "message_count": 1, "messages": ["hello"]}
    ),
    "models of another form": replied("models", {"data": {"small": {}}}),
    "an audit that is not one": replied("audit verify", {"status": "fine"}),
    "an audit that never ends": replied("audit export", {"records": [], "next": 0}),
    "a decision of another form": Scene(
        "policy replay {policy} -u {url}", decisions({"phase": "decided", "facts": "none"})
    ),
    "a policy's tests of another form": Scene("policy test {policy} -u {url}", decisions()),
    "a damaged compressed body": with_body(b"xxxx", "Content-Encoding: gzip"),
    "a compressed body that grows too large": with_body(gzip.compress(bytes(17 << 20)), "Content-Encoding: gzip"),
    "a body that is too large": Scene(
        RUNS, peer(send(response(200, b"", length=17 << 20)), flood(bytes(65536), most=17 << 20))
    ),
    "a redirect": answered(302, None, "Location: https://elsewhere.example/login"),
    "400, with its reason": answered(400, {"code": "TOO_DEEP", "message": "the input is nested too deeply"}),
    "401, without a key": answered(401, {"detail": "Not authenticated"}),
    "401, with a key": Scene("run x -k hunter2 -u {url}", peer(send(response(401, to_json({"detail": "hunter2?"}))))),
    "401, without the role": Scene(
        "system status -k hunter2 -u {url}",
        peer(send(response(401, to_json({"code": "ROLE_MISSING", "message": "no", "details": {"role": "read"}})))),
    ),
    "403, a block": answered(
        403, {"code": "GOVERNANCE_BLOCK", "message": "blocked", "trace_id": "a23c", "details": BLOCKED}
    ),
    "403, a block that somebody may lift": answered(
        403,
        {
            "code": "GOVERNANCE_BLOCK",
            "message": "blocked",
            "trace_id": "a23c",
            "details": BLOCKED | {"approval": {"id": "b45d", "expires": "2030-01-01T00:00:00Z", "status": "pending"}},
        },
    ),
    "403, a web page": answered(403, page=b"<html>Forbidden"),
    "404": Scene("trace a23c -u {url}", peer(send(response(404, to_json({"message": "there is no trace 'a23c'"}))))),
    "404, of an operation": Scene(
        "approvals list -u {url}", peer(send(response(404, to_json({"detail": "Not Found"}))))
    ),
    "404, a web page": answered(404, page=b"<html>nginx"),
    "407": Scene(
        "run x -u http://hestia.example",
        peer(send(response(407, b""))),
        {"HTTP_PROXY": "{url}"},
    ),
    "413": answered(413, {"message": "the body is larger than 16777216 bytes"}),
    "422": answered(422, {"detail": [{"loc": ["body", "input"], "msg": "field required", "type": "missing"}]}),
    "429": answered(429, {"message": "too many requests"}, "Retry-After: 7"),
    "429, for a long time": answered(429, {"message": "too many requests"}, "Retry-After: 3600"),
    "500, with a trace": answered(500, {"code": "INTERNAL_ERROR", "message": "the server failed", "trace_id": "a23c"}),
    "502, of a proxy": answered(502, page=b"<html>502 Bad Gateway"),
    "503": answered(503, {"message": "the server is stopping", "code": "STOPPING"}),
    # A stream.
    "a stream is answered whole": streamed(send(GOOD)),
    "a stream ends too early": streamed(send(stream(event(START), event(TOKEN)))),
    "a stream is reset": streamed(send(STREAM_HEAD + chunk(event(START))), reset),
    "a stream falls silent": streamed(
        send(STREAM_HEAD + chunk(event(START))), silence, typed="run x --stream --timeout 0.2 -u {url}"
    ),
    "an event is not JSON": streamed(send(stream(event(START), b"data: hello\n\n"))),
    "events in a wrong order": streamed(send(stream(event(START), event(START)))),
    "the model fails in the middle": streamed(send(stream(event(START), event(TOKEN), event(FAILED), event(DONE)))),
    "a block in the middle": Scene(
        "run x --stream -u {url}", scripted(lambda platform: platform.block("it tells a secret", after="so "))
    ),
    "a chat is not streamed by this server": Scene(
        "chat x --stream -u {url}", peer(send(response(404, to_json({"detail": "Not Found"}))))
    ),
    # What is typed.
    "no text": Scene("run -u :8000", nothing),
    "an empty text": Scene("--local run {empty}", nothing),
    "a text that is not quoted": Scene("run create a report", nothing),
    "a text that looks like an option": Scene("run --drop", nothing),
    "an option without its value": Scene("run hi --field", nothing),
    "a text instead of a number": Scene("run hi --retries many", nothing),
    "an empty secret": Scene("secrets set mail", nothing),
    "a text instead of a kind of command": Scene("governance explain {deletion}", nothing),
    "an input that is not UTF-8": Scene("run - -u :8000", nothing, stdin=b"caf\xe9\n"),
    "an unknown command": Scene("rnu x", nothing),
    "an unknown option": Scene("health --nonsense", nothing),
    "an unknown field": Scene("--local run x -q nothing", nothing),
    "a command that has no use for an option": Scene("serve --local", nothing),
    "a server and --local": Scene("--local run x -u :8000", nothing),
    # What is kept.
    "a block of --local": Scene("--local run {deletion}", nothing),
    "an unknown trace": Scene("--local trace a23c", nothing),
    "an unknown agent": Scene(
        "--local agents run painter x --config {config}", file("config.toml", 'version = 1\n[[agents]]\nid = "poet"\n')
    ),
    "a mistake in the configuration": Scene("--local run x --config {config}", file("config.toml", "polcy = 'x'\n")),
    "a configuration that is not TOML": Scene("--local run x --config {config}", file("config.toml", "=\n")),
    "a model server that is not there": Scene(
        "--local run x --config {config}",
        file("config.toml", 'version = 1\n[[models]]\nname = "small"\nurl = "http://127.0.0.1:1/v1"\n'),
    ),
    "a store that is not a database": Scene(
        "--local run x --config {config}", file("config.toml", 'store = "config.toml"\n' + "# notes\n" * 100)
    ),
    "a store in PostgreSQL without psycopg": Scene("serve --store postgresql://hestia@db.example/hestia", no_psycopg),
    "a store in PostgreSQL, and nothing listens there": Scene("serve --store {url}", no_postgresql),
    "a store in PostgreSQL, and a wrong password": Scene(
        "serve --store {url}", postgresql(user=GUARDED), {"PGPASSWORD": "hunter2"}
    ),
    "a store in PostgreSQL, in a database that is missing": Scene(
        "serve --store {url}", postgresql(database="nowhere")
    ),
    "a store of an unknown kind": Scene("serve --store mysql://db.example/hestia", nothing),
    "an unknown profile": Scene("run x --profile work", nothing),
    "inputs of a batch that are missing": Scene("batch {folder}/missing", nothing),
    "inputs of a batch that cannot be read": Scene(
        "--local batch {inputs}", file("inputs.jsonl", '{"input": "a"}\n{"inputs": "b"}\n')
    ),
    "results of another batch": Scene("--local batch {inputs} -o {inputs}", file("inputs.txt", "a\n")),
    "a port in use": Scene("serve --port {port}", port_in_use),
}
