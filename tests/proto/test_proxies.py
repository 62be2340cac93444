"""Which proxy the environment names for a base URL, which hosts are excepted, and what is said of what is wrong."""

from __future__ import annotations

import pytest

from hestiaos_proto import Config, Proxy, environment_proxy


def find(environ: dict[str, str], base_url: str = "http://hestia.test") -> Proxy | None:
    """As `urllib.request.getproxies` reads the environment: small letters come first."""
    proxies = {}
    for name, value in sorted(environ.items(), key=lambda item: item[0].islower()):
        proxies[name.lower().removesuffix("_proxy")] = value
    return environment_proxy(environ, proxies, Config(base_url=base_url))


@pytest.mark.parametrize(
    ("environ", "base_url", "expected"),
    [
        ({"HTTP_PROXY": "http://p:3128"}, "http://h", ("HTTP_PROXY", "http://p:3128")),
        ({"http_proxy": "http://p:3128"}, "http://h", ("http_proxy", "http://p:3128")),
        ({"HTTP_PROXY": "http://a", "http_proxy": "http://b"}, "http://h", ("http_proxy", "http://b:80")),
        ({"HTTP_PROXY": "http://p"}, "https://h", None),
        ({"HTTPS_PROXY": "http://p"}, "https://h", ("HTTPS_PROXY", "http://p:80")),
        ({"HTTPS_PROXY": "https://p"}, "https://h", ("HTTPS_PROXY", "https://p:443")),
        ({"ALL_PROXY": "socks5://p"}, "https://h", ("ALL_PROXY", "socks5://p:1080")),
        ({"ALL_PROXY": "socks5h://p:9"}, "http://h", ("ALL_PROXY", "socks5h://p:9")),
        ({"ALL_PROXY": "http://a", "HTTP_PROXY": "http://b"}, "http://h", ("HTTP_PROXY", "http://b:80")),
        ({"HTTP_PROXY": "p:3128"}, "http://h", ("HTTP_PROXY", "http://p:3128")),
        ({"HTTP_PROXY": "http://[::1]:3128/"}, "http://h", ("HTTP_PROXY", "http://[::1]:3128")),
        ({"HTTP_PROXY": ""}, "http://h", None),
        ({}, "http://h", None),
    ],
)
def test_the_environment_variables(environ: dict[str, str], base_url: str, expected: tuple[str, str] | None) -> None:
    proxy = find(environ, base_url)
    assert (proxy and (proxy.variable, proxy.origin)) == expected


def test_a_setting_of_the_system() -> None:
    proxy = environment_proxy({}, {"http": "http://p:1"}, Config(base_url="http://h"))
    assert proxy == Proxy("the system", "http", "p", 1)


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("http://p", None),
        ("http://user@p", (b"user", b"")),
        ("http://user:pw@p", (b"user", b"pw")),
        ("http://u%40h:%3A%2F%C3%A4@p", (b"u@h", ":/ä".encode())),
    ],
)
def test_credentials(url: str, auth: tuple[bytes, bytes] | None) -> None:
    proxy = find({"HTTP_PROXY": url})
    assert proxy is not None
    assert proxy.auth == auth
    assert "pw" not in repr(proxy)
    assert proxy.origin == "http://p:80"
    assert not proxy.socks


@pytest.mark.parametrize(
    ("no_proxy", "excepted"),
    [
        ("*", ["http://h", "http://10.0.0.1", "http://[::1]"]),
        ("h", ["http://h", "https://h:8443", "http://a.h", "http://H"]),
        (".h", ["http://a.h", "http://a.b.h"]),
        ("*.h", ["http://a.h"]),
        ("h:81", ["http://h:81"]),
        ("http://h", ["http://h", "http://h:81"]),
        ("a, h ,b", ["http://h"]),
        ("10.0.0.1", ["http://10.0.0.1", "http://10.0.0.1:81"]),
        ("10.0.0.0/8", ["http://10.0.0.1", "http://10.255.0.1:81"]),
        ("10.0.0.1/8", ["http://10.9.9.9"]),
        ("::1/128", ["http://[::1]"]),
        ("::1", ["http://[::1]:81"]),
        ("[::1]", ["http://[::1]"]),
        ("[::1]:81", ["http://[::1]:81"]),
        ("nonsense/x, 10.0.0.0/99, ::1/128, h", ["http://h", "http://[::1]"]),
    ],
)
def test_hosts_that_are_excepted(no_proxy: str, excepted: list[str]) -> None:
    for url in excepted:
        assert find({"ALL_PROXY": "http://p", "NO_PROXY": no_proxy}, url) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "http://h"),
        (",,", "http://h"),
        (".h", "http://h"),
        ("h", "http://ah"),
        ("h:81", "http://h"),
        ("h:81", "http://h:82"),
        ("0.0.1", "http://10.0.0.1"),
        ("10.0.0.0/8", "http://11.0.0.1"),
        ("10.0.0.0/8", "http://[::1]"),
        ("10.0.0.0/8", "http://h"),
        ("10.0.0.0/99", "http://10.0.0.1"),
        ("::1/128", "http://[::2]"),
    ],
)
def test_hosts_that_are_not_excepted(no_proxy: str, url: str) -> None:
    assert find({"ALL_PROXY": "http://p", "NO_PROXY": no_proxy}, url) is not None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socks://p", "its scheme must be one of http, https, socks5, socks5h, not 'socks'"),
        ("ftp://p", "its scheme must be one of http, https, socks5, socks5h, not 'ftp'"),
        ("http://p:99999", "its port is not a number from 1 to 65535"),
        ("http://p:0", "its port is not a number from 1 to 65535"),
        ("http://p:pw", "its port is not a number from 1 to 65535"),
        ("http://user:pw/@p:1", "its port is not a number from 1 to 65535"),
        ("http://", "its URL has no host that can be connected to"),
        ("http://:3128", "its URL has no host that can be connected to"),
        ("http://a b", "its URL has no host that can be connected to"),
        ("http://user:pw@[::x", "its URL has no host that can be connected to"),
        ("http://user:pw@a\u2100b", "its URL has no host that can be connected to"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_that_cannot_be_used(variable: str, url: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"the proxy of {variable} cannot be used: {message}") as wrong:
        find({variable: url})
    assert "pw" not in str(wrong.value)
    assert wrong.value.__cause__ is None


def test_a_wrong_proxy_that_is_not_used() -> None:
    assert find({"HTTP_PROXY": "http://p:99999", "NO_PROXY": "*"}) is None
    assert find({"HTTPS_PROXY": "http://p:99999"}) is None
