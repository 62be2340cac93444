"""What the environment names wrongly, and when it is read."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
import trustme

from hestiaos import ConnectFailed, HestiaError
from tests.support.bindings import ASYNC, BINDINGS, HTTPX, HttpxSync, InProcess, Selectors
from tests.support.environment import environment
from tests.support.peer import Peer
from tests.support.places import HOST, certificates
from tests.support.scenario import fault
from tests.support.sessions import Session

WRONG = (
    "proxies and certificates that the environment names wrongly (`NO_PROXY=::1/128`, `ALL_PROXY=socks://`,"
    " `HTTP_PROXY` with port 99999, `SSL_CERT_FILE` missing or empty)"
)
CHANGED = "the environment changed after the client was built"

PASSWORD = "-".join(["pass", "1234", "word"])
BAD_PROXIES = (
    "http://127.0.0.1:99999",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:port",
    "127.0.0.1:port",
    "http://",
    "://",
    "http:///path",
    "socks://127.0.0.1:1080",
    "socks4://127.0.0.1:1080",
    "ftp://127.0.0.1:21",
    "socks://",
    "http://[::1",
    "http://[nonsense]:80",
    "http://a b:80",
    f"http://user:{PASSWORD}@127.0.0.1:99999",
    f"socks://user:{PASSWORD}@127.0.0.1:1080",
)


def names_it(binding: type[Session], url: str, environ: Mapping[str, str], name: str) -> None:
    """A `ValueError` when the client is built, or a `HestiaError` at the call, that names the variable."""
    with environment(environ):
        with pytest.raises((ValueError, HestiaError)) as wrong, binding(url, timeout=5.0) as session:
            session.call("run", "x")
        assert type(wrong.value) is ValueError or isinstance(wrong.value, HestiaError)
        assert name in str(wrong.value)
        assert PASSWORD not in str(wrong.value)


@fault(WRONG, HTTPX)
@pytest.mark.parametrize("value", BAD_PROXIES)
def test_bad_proxies(binding: type[Session], value: str) -> None:
    for scheme, kind in ("http", "http"), ("http", "all"), ("https", "https"), ("https", "all"):
        for name in f"{kind}_proxy", f"{kind.upper()}_PROXY":
            names_it(binding, f"{scheme}://{HOST}", {name: value}, name)


@fault(WRONG, tuple(binding for binding in BINDINGS if binding not in HTTPX))
def test_bad_proxies_that_are_not_used(binding: type[Session]) -> None:
    """These connect by themselves, or not at all."""
    with Peer() as peer:
        for value in BAD_PROXIES:
            with (
                environment(dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), value)),
                binding(peer.url) as session,
            ):
                assert session.call("run", "x").result in ("r", "processed: x")


@fault(WRONG, HTTPX)
def test_a_bad_proxy_of_the_other_scheme(binding: type[Session]) -> None:
    """It is not used, and so it does no harm."""
    with Peer() as peer, environment({"HTTPS_PROXY": "http://127.0.0.1:99999"}), binding(peer.url) as session:
        assert session.call("run", "x").result == "r"


DIRECT = (
    "127.0.0.1",
    " 127.0.0.1 ",
    "example.org,127.0.0.1",
    "*",
    "127.0.0.1,%%%",
    "http://127.0.0.1",
    "127.0.0.1:{port}",
)
PROXIED = (
    *("", ",", ",,,", "example.org", ".example.org", "10.0.0.0/8", "127.0.0.2", "localhost"),
    *("::1/128", "::1", "[::1]", "[::1", "]", "127.0.0.1/99", "300.1.2.3/8", "/8", "%%%", "http://", "://", "a b"),
    *("http://[", "http://x:99999", "x:port", "\u00e9", "..", "*.example.org", "1" * 10_000),
)


@fault(WRONG, HTTPX)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_hosts_that_are_excepted_from_the_proxy(binding: type[Session], name: str) -> None:
    """`NO_PROXY` says which hosts are reached directly; an entry that cannot be read says nothing."""
    with Peer() as peer, Peer() as proxy:
        for entry in (*DIRECT, *PROXIED):
            peer.requests.clear()
            proxy.requests.clear()
            value = entry.replace("{port}", peer.authority.partition(":")[2])
            with environment({"http_proxy": proxy.url, name: value}), binding(peer.url) as session:
                assert session.call("run", "x").result == "r"
            took = len(peer.requests), len(proxy.requests)
            assert took == ((1, 0) if entry in DIRECT else (0, 1)), repr(entry)[:50]


@pytest.fixture
def bad_certificates(tmp_path: Path) -> list[dict[str, str]]:
    empty, garbage, folder = tmp_path / "empty", tmp_path / "garbage", tmp_path / "folder"
    empty.touch()
    garbage.write_bytes(os.urandom(1000))
    cut = tmp_path / "cut"
    cut.write_bytes(trustme.CA().cert_pem.bytes()[:-200])
    folder.mkdir()
    missing = tmp_path / "missing"
    files = [{"SSL_CERT_FILE": str(path)} for path in (missing, empty, garbage, cut, folder)]
    return [*files, *({"SSL_CERT_DIR": str(path)} for path in (missing, folder, empty))]


@fault(WRONG, tuple(binding for binding in BINDINGS if binding not in (InProcess, Selectors)))
def test_bad_certificates(binding: type[Session], bad_certificates: list[dict[str, str]]) -> None:
    serving, _ = certificates()
    with Peer(tls=serving) as peer, Peer() as plain:
        for environ in bad_certificates:
            (name,) = environ
            names_it(binding, peer.url, environ, name)
            with environment(environ), binding(plain.url) as session:  # where no certificate is needed
                assert session.call("run", "x").result == "r"
        assert peer.requests == []


@fault(WRONG, (Selectors, InProcess))  # the one is given its context, the other needs none
def test_bad_certificates_that_are_not_used(binding: type[Session], bad_certificates: list[dict[str, str]]) -> None:
    serving, trusting = certificates()
    with Peer(tls=serving) as peer:
        for environ in bad_certificates:
            options = {"ssl_context": trusting} if binding.remote else {}
            with environment(environ), binding(peer.url, **options) as session:
                assert session.call("run", "x").result in ("r", "processed: x")


@fault(WRONG, tuple(binding for binding in BINDINGS if binding.remote and binding is not Selectors))
def test_good_certificates(binding: type[Session], tmp_path: Path) -> None:
    """The control: the authorities that the variables name are trusted, and no others."""
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "good.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    context = serving_as(authority)
    with Peer(tls=context) as peer:
        with environment({"SSL_CERT_FILE": str(tmp_path / "good.pem")}), binding(peer.url) as session:
            assert session.call("run", "x").result == "r"
        with environment({"SSL_CERT_FILE": str(tmp_path / "other.pem")}), binding(peer.url) as untrusting:  # noqa: SIM117
            with pytest.raises(ConnectFailed, match="certificate verify failed"):
                untrusting.call("run", "x")


def serving_as(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


OTHERWISE = {
    "HESTIAOS_BASE_URL": "http://nonexistent.invalid",
    "HESTIAOS_API_KEY": "another",
    "SSL_CERT_FILE": "/nonexistent",
    "SSL_CERT_DIR": "/nonexistent",
    "NO_PROXY": "",
    **dict(product(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), ["http://127.0.0.1:99999"])),
}


@fault(CHANGED, (HttpxSync, *(each for each in ASYNC if each.remote)))
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_changed_environment(binding: type[Session], tmp_path: Path, tls: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "good.pem")
    with Peer(tls=serving_as(authority) if tls else None) as peer:
        environ = {"HESTIAOS_BASE_URL": peer.url, "HESTIAOS_API_KEY": "the-first", "NO_PROXY": "*"}
        if tls:
            environ["SSL_CERT_FILE"] = str(tmp_path / "good.pem")
        with environment(environ):
            session = binding(None, api_key=None)
        with session, environment(OTHERWISE):
            assert session.call("run", "x").result == "r"
            assert session.stream("x").read()[1] is None
        assert [request.headers["authorization"] for request in peer.requests] == ["Bearer the-first"] * 2


@fault(CHANGED, HTTPX)
def test_a_changed_proxy(binding: type[Session]) -> None:
    with Peer() as proxy, Peer() as other:
        with environment({"HTTP_PROXY": proxy.url}):
            session = binding(f"http://{HOST}")
        with session, environment({"HTTP_PROXY": other.url}):
            assert session.call("run", "x").result == "r"
        assert (len(proxy.requests), len(other.requests)) == (1, 0)
        with binding(other.url) as session, environment({"HTTP_PROXY": proxy.url}):
            assert session.call("run", "x").result == "r"
        assert (len(proxy.requests), len(other.requests)) == (1, 1)


@fault(CHANGED, (Selectors, InProcess))
def test_a_changed_environment_for_clients_that_read_little_of_it(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session, environment(OTHERWISE):
        assert session.call("run", "x").result in ("r", "processed: x")
        assert session.stream("x").read()[1] is None
