"""The description's tables, held against the classes, and its examples, run as they are written.

`sdk-description.txt` beside this file is the specification in the user's own words. Its tables are read from there.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import anyio
import attrs
import pytest

import hestiaos
from hestiaos import AsyncClient, Client, StreamEvent
from hestiaos_proto import Config, __version__, operations
from hestiaos_proto import _models as models

DESCRIPTION = (Path(__file__).parent / "sdk-description.txt").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next heading."""
    # Headings have two marks or more; one is a comment in a block of code.
    found = re.search(rf"^##+ {re.escape(title)}$(.*?)(?=^##+ |\Z)", DESCRIPTION, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the description has no section {title!r}"
    return found[1]


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head; `\\|` is a bar inside a cell."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def code(title: str) -> str:
    """The first block of code under a heading."""
    found = re.search(r"```\w+\n(.*?)```", section(title), re.DOTALL)
    assert found is not None
    return found[1]


METHODS = [
    pytest.param(client, *row[:2], id=f"{client.__name__}.{row[0].strip('`')}")
    for client, title in ((AsyncClient, "AsyncClient (Primary API)"), (Client, "Client (Sync Facade)"))
    for row in table(title)
]


def method_of(client: object, dotted: str) -> Callable[..., Any]:
    for name in dotted.split("."):
        client = getattr(client, name)
    assert callable(client)
    return client


def test_the_tables_were_found() -> None:
    assert len(table("AsyncClient (Primary API)")) == 14
    assert len(table("Client (Sync Facade)")) == 13


@pytest.mark.parametrize(("client", "signature", "returns"), METHODS)
def test_every_method_of_the_tables_exists_as_documented(client: type, signature: str, returns: str) -> None:
    call = ast.parse(signature.strip("`").replace(", ...", ""), mode="eval").body
    assert isinstance(call, ast.Call)
    positional = [arg.id for arg in call.args if isinstance(arg, ast.Name)]
    defaults = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    method = method_of(client(), ast.unparse(call.func))
    parameters = inspect.signature(method).parameters
    assert list(parameters)[: len(positional) + len(defaults)] == [*positional, *defaults]
    assert {name: parameters[name].default for name in defaults} == defaults
    assert all(parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in [*positional, *defaults])

    said = returns.strip("`")
    real = str(inspect.signature(method).return_annotation)
    if said == "AsyncIterator[StreamEvent]":
        assert type(method("x")) is hestiaos.AsyncEventStream
        assert {"__aiter__", "__anext__", "aclose"} <= set(dir(hestiaos.AsyncEventStream))
    elif said == "Generator[StreamEvent]":
        assert type(method("x")) is hestiaos.EventStream
        assert {"__iter__", "__next__", "close"} <= set(dir(hestiaos.EventStream))
    else:
        assert real.replace("dict[str, Any]", "dict") == said
        assert inspect.iscoroutinefunction(method) == signature.strip("`").split("(")[0].endswith("_async")


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_name_of_both_tables_is_on_both_clients(client: type) -> None:
    for title in ("AsyncClient (Primary API)", "Client (Sync Facade)"):
        for row in table(title):
            method_of(client(), row[0].strip("`").split("(")[0])


@pytest.mark.parametrize(("name", "fields"), [(row[0].strip("`"), row[1]) for row in table("Models")])
def test_every_model_has_the_documented_fields(name: str, fields: str) -> None:
    model = getattr(hestiaos, name)
    documented = [field.strip(" `") for field in fields.split(",")]
    assert set(documented) <= {field.name for field in attrs.fields(model)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.__setattr__(object.__new__(model), documented[0], None)
    assert issubclass(model, models.Model)


@pytest.mark.parametrize(("name", "kind"), [(row[0].strip("`"), row[1].strip("`")) for row in table("StreamEvent")])
def test_stream_event_has_the_documented_attributes(name: str, kind: str) -> None:
    annotation = str(attrs.fields_dict(StreamEvent)[name].type)
    if name == "type":
        assert list(get_args(hestiaos.StreamEventType)) == ast.literal_eval(kind.removeprefix("Literal"))
    else:
        assert annotation == kind


@pytest.mark.parametrize(("name", "status"), [(row[0].strip("`"), row[1]) for row in table("Exceptions")])
def test_every_exception_has_the_documented_status(name: str, status: str) -> None:
    error = getattr(hestiaos, name)
    assert issubclass(error, hestiaos.HestiaError)
    if status != "—":
        assert error().status_code == int(status)


def test_the_frozen_transport_contract() -> None:
    request = operations.health().request(Config())
    assert request.headers["User-Agent"] == f"hestiaos-sdk/{__version__}"
    assert inspect.signature(Client).parameters["timeout"].default == 30.0
    assert repr(Client()) == "Client(base_url='http://localhost:8000')"


def run_as_written(source: str, server_url: str, **names: Any) -> dict[str, Any]:
    """Run an example of the description; only the address of the server is replaced."""
    source = source.replace("http://localhost:8000", server_url)
    compiled = compile(source, "sdk-description.txt", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:

        async def main() -> None:
            await eval(compiled, names)

        anyio.run(main)
    else:
        exec(compiled, names)
    return names


def test_the_async_quickstart_runs_as_written(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_as_written(code("Async (recommended — production)"), server_url)
    check_quickstart(names, capsys.readouterr().out)


def test_the_sync_quickstart_runs_as_written(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_as_written(code("Sync (CLI / scripts)"), server_url)
    check_quickstart(names, capsys.readouterr().out)
    names["client"].close()


def check_quickstart(names: dict[str, Any], printed: str) -> None:
    assert names["result"].result == "processed: create a report"
    assert names["result"].mode == "ALLOW"
    lines = printed.splitlines()
    assert lines[:2] == ["processed: create a report", names["result"].trace_id]
    kinds = [line.partition("]")[0].strip("[") for line in lines if line.startswith("[")]
    assert kinds == ["start", "token", "token", "token", "token", "final", "done"]
    assert names["event"].type == "done"


def test_the_resource_namespaces_run_as_written(server_url: str) -> None:
    names = run_as_written(code("Resource Namespaces"), server_url, client=AsyncClient(server_url))
    assert names["status"].status == "OK"
    assert isinstance(names["config"], dict)
    assert names["metrics"].metrics["requests_total"] >= 2
    assert names["reply"].session_id == "abc"
    assert names["result"].agent_id == "agent-1"
    assert names["value"] == "my-value"
    assert names["explanation"]["decision"] == "ALLOW"
    assert names["trace"] is None


def test_the_import_test_runs_as_written() -> None:
    found = re.search(r'^python -c "(.*)"$', code("Development"), re.MULTILINE)
    assert found is not None
    done = subprocess.run([sys.executable, "-c", found[1]], capture_output=True, text=True, check=True)
    assert done.stdout == "SDK Import OK\n"


def test_importing_the_package_loads_neither_httpx_nor_trio() -> None:
    program = "import hestiaos, sys; print({'httpx', 'trio', 'anyio', 'attrs', 'h11'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_naming_a_client_loads_no_http_library() -> None:
    foreign = {"httpx", "httpcore", "anyio", "trio", "h11"}
    program = f"from hestiaos import AsyncClient; import sys; print({foreign} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_all_is_what_the_package_exports() -> None:
    for name in hestiaos.__all__:
        assert getattr(hestiaos, name) is not None
    assert dir(hestiaos) == sorted(hestiaos.__all__)
    with pytest.raises(AttributeError, match="no attribute 'TypoClient'"):
        hestiaos.TypoClient  # noqa: B018  # looking it up is what is tested
