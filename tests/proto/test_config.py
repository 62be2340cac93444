"""A config is validated when it is built and shows neither key nor headers."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest

from hestiaos_proto import Config, __version__
from hestiaos_proto._arguments import seconds, type_name
from hestiaos_proto._config import MAX_HEAD_SIZE, check_idempotency_key


def test_the_defaults_are_the_documented_ones() -> None:
    config = Config()
    assert (config.base_url, config.api_key, config.timeout, config.retries) == ("http://localhost:8000", None, 30.0, 3)
    assert (config.deadline, config.strict, config.headers) == (None, True, {})
    assert config.max_body_size == config.max_event_size == 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("url", "origin", "root"),
    [
        ("http://localhost:8000", "http://localhost:8000", ""),
        ("http://localhost:8000/", "http://localhost:8000", ""),
        ("https://h/a/b//", "https://h", "/a/b"),
        ("HTTPS://Example.COM", "https://example.com", ""),
        ("http://[::1]:8000/x", "http://[::1]:8000", "/x"),
        ("http://127.0.0.1", "http://127.0.0.1", ""),
        ("http://h:65535/%41%2F", "http://h:65535", "/%41%2F"),
        ("http://h:80", "http://h", ""),
        ("https://h:443/a", "https://h", "/a"),
        ("http://h:443", "http://h:443", ""),
        ("https://h:80", "https://h:80", ""),
        ("http://h:", "http://h", ""),
        ("http://h:08000/a", "http://h:8000", "/a"),
        ("HTTP://H:080/A", "http://h", "/A"),
        ("http://[::FFFF:1.2.3.4]:1", "http://[::ffff:1.2.3.4]:1", ""),
        ("http://[FE80::1%Eth0]:8000", "http://[fe80::1%Eth0]:8000", ""),
        ("http://[FE80::1%25Eth0]", "http://[fe80::1%Eth0]", ""),
        ("http://a_b.c-d~.", "http://a_b.c-d~.", ""),
        ("http://h//a//b", "http://h", "//a//b"),
        ("http://h/a;b=c,d!$&'()*+:~_.-/...", "http://h", "/a;b=c,d!$&'()*+:~_.-/..."),
    ],
)
def test_base_urls(url: str, origin: str, root: str) -> None:
    """Each is written in a way that httpx leaves as it is, so that every binding sends the same request."""
    config = Config(base_url=url)
    assert (config.base_url, config.origin, config.root_path) == (origin + root, origin, root)
    request = httpx.Request("GET", f"{config.base_url}/x")
    assert (request.headers["host"], request.url.raw_path) == (origin.partition("//")[2], f"{root}/x".encode())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "is empty: give one like http://localhost:8000"),
        ("localhost:8000", "must begin with http:// or https://"),
        ("localhost", "must begin with http:// or https://"),
        ("//localhost", "must begin with http:// or https://"),
        ("/api", "must begin with http:// or https://"),
        ("ftp://h", "must begin with http:// or https://"),
        ("file:///etc", "must begin with http:// or https://"),
        ("http:h", "must begin with http:// or https://"),
        ("http:/h", "must begin with http:// or https://"),
        ("http://", "has no host"),
        ("http://:8000", "has no host"),
        ("http:///x", "has no host"),
        ("http://h:0", "has no valid port"),
        ("http://h:65536", "is not a URL"),
        ("http://h:x", "is not a URL"),
        ("http://h:-1", "is not a URL"),
        ("http://[::1", "is not a URL"),
        ("http://h?a=b", "may not have a query or a fragment"),
        ("http://h?", "may not have a query or a fragment"),
        ("http://h#x", "may not have a query or a fragment"),
        ("http://h/#", "may not have a query or a fragment"),
        ("http://h /x", "contains white space"),
        (" http://h", "contains white space"),
        ("http://h\n", "contains white space"),
        ("http://h\t/x", "contains white space"),
        ("http://h\r\n/x", "contains white space"),
        ("http://h\0", "contains white space"),
        ("http://hé", "non-ASCII"),
        ("http://h/é", "non-ASCII"),
        *((f"http://h/a{character}b", "in its path that must be percent-encoded") for character in '{}<>"|\\^`[]'),
        *((f"http://h/{escape}", "in its path that must be percent-encoded") for escape in ("%", "%4", "%zz", "a%")),
        *((f"http://a{character}b", "in its host that is not allowed there") for character in '{}<>"|\\^`%'),
        ("http://[::1]x:80", "in its host that is not allowed there"),
        *((f"http://h/{path}", "may not have '.' or '..' in its path") for path in (".", "..", "a/../b", "./a", "a/.")),
    ],
    ids=ascii,
)
def test_base_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        Config(base_url=url)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://u:hunter2@h", "http://u:hunter2@h:x", "http://u:hunter2@[h", "http://hunter2@h\n", "ftp://u:hunter2@h"],
)
def test_credentials_in_the_base_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="may not contain credentials") as caught:
        Config(base_url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["hunter2 ", "hunter2\n", "hunter2\r\nX: y", "hunter2\0", "hunter2é", "hunter2\x7f", "\thunter2"], ids=ascii
)
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="the API key contains") as caught:
        Config(api_key=key)
    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_an_empty_key_is_none() -> None:
    assert Config(api_key="").api_key is None


def test_the_repr_shows_neither_the_key_nor_the_headers() -> None:
    config = Config(api_key="hunter2", headers={"X-Token": "hunter2"})
    assert "hunter2" not in repr(config)
    assert "api_key='***'" in repr(config)
    assert "api_key=None" in repr(Config())


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize(
    "value", [0, -1, -0.5, float("nan"), float("inf"), -float("inf"), 10**9, 10**400, -(10**400), 10**5000], ids=type
)
def test_a_duration_is_within_bounds(name: str, value: float) -> None:
    message = f"^{name} must be a number of seconds greater than 0 and below 10\\*\\*9$"
    with pytest.raises(ValueError, match=message):
        Config(**{name: value})
    with pytest.raises(ValueError, match=message):
        Config().for_call(**{name: value})
    for valid in (1, 10**9 - 1, 0.001):
        assert getattr(Config(**{name: valid}), name) == valid


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", ["5", b"5", True, [5], 5j], ids=repr)
def test_a_duration_is_a_number(name: str, value: Any) -> None:
    message = f"^{name} must be a number of seconds, not {type(value).__name__}$"
    with pytest.raises(TypeError, match=message):
        Config(**{name: value})
    with pytest.raises(TypeError, match=message):
        Config().for_call(**{name: value})


def test_only_a_deadline_may_be_none() -> None:
    assert Config(deadline=None).deadline is None
    with pytest.raises(TypeError, match="timeout must be a number of seconds, not None"):
        Config(timeout=None)


@pytest.mark.parametrize("name", ["max_body_size", "max_event_size"])
@pytest.mark.parametrize("value", [0, -1, 10**9, 10**5000], ids=["0", "-1", "10**9", "10**5000"])
def test_a_size_is_within_bounds(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a number of bytes greater than 0 and below 10\\*\\*9$"):
        Config(**{name: value})
    for valid in (1, 10**9 - 1):
        assert getattr(Config(**{name: valid}), name) == valid


@pytest.mark.parametrize("value", [-1, -(10**5000)], ids=["-1", "-10**5000"])
def test_retries_are_0_or_more(value: int) -> None:
    assert Config(retries=0).retries == 0
    with pytest.raises(ValueError, match="retries must be 0 or more"):
        Config(retries=value)


@pytest.mark.parametrize("name", ["retries", "max_body_size", "max_event_size"])
@pytest.mark.parametrize("value", [1.0, "3", None, True, float("nan")], ids=repr)
def test_what_is_counted_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(
        TypeError, match=f"^{name} must be a whole number, not {None if value is None else type(value).__name__}$"
    ):
        Config(**{name: value})


@pytest.mark.parametrize("value", [1, "no", None], ids=repr)
def test_strict_is_a_bool(value: Any) -> None:
    assert Config(strict=False).strict is False
    with pytest.raises(TypeError, match=f"^strict must be True or False, not {type_name(value)}$"):
        Config(strict=value)


@pytest.mark.parametrize("value", [b"http://h", 1, None], ids=repr)
def test_the_base_url_is_a_str(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^base_url must be a str, not {type_name(value)}$"):
        Config(base_url=value)


@pytest.mark.parametrize("value", [b"hunter2", 4711, True], ids=lambda value: type(value).__name__)
def test_the_key_is_a_str_and_not_repeated(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^api_key must be a str or None, not {type(value).__name__}$") as caught:
        Config(api_key=value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", [[("X-A", "1")], "X-A: 1", None, 5], ids=repr)
def test_headers_are_a_mapping(value: Any) -> None:
    with pytest.raises(TypeError, match=f"^headers must be a mapping of str to str, not {type_name(value)}$"):
        Config(headers=value)


@pytest.mark.parametrize("headers", [{"X-A": b"hunter2"}, {b"X-A": "hunter2"}, {"X-A": None}, {1: "1"}], ids=str)
def test_headers_are_of_str(headers: Any) -> None:
    [[name, value]] = headers.items()
    message = f"^headers must be a mapping of str to str, not of {type_name(name)} to {type_name(value)}$"
    with pytest.raises(TypeError, match=message):
        Config(headers=headers)


@pytest.mark.parametrize("name", ["", "X A", "X:", "X\n", "é", "X\0"], ids=ascii)
def test_what_is_not_a_header_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header name"):
        Config(headers={name: "x"})


@pytest.mark.parametrize(
    "name", ["Authorization", "content-length", "Content-Type", "HOST", "Idempotency-Key", "Transfer-Encoding"]
)
def test_the_clients_own_headers_cannot_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="is the client's own"):
        Config(headers={name: "x"})


@pytest.mark.parametrize(
    "value", ["hunter2\n", "hunter2\r\nX: y", "hunter2\0", " hunter2", "hunter2 ", "hunter2é"], ids=ascii
)
def test_what_no_header_can_hold_is_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="'X-A' has a value with a character") as caught:
        Config(headers={"X-A": value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "!~"], ids=repr)
def test_what_a_header_can_hold(value: str) -> None:
    assert Config(headers={"X-A": value}).headers == {"X-A": value}


def test_the_headers_are_a_copy_and_the_config_is_frozen() -> None:
    given = {"X-A": "1"}
    config = Config(headers=given)
    given["X-B"] = "2"
    assert config.headers == {"X-A": "1"}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.api_key = "x"


class TestEnvironment:
    ENVIRON = {"HESTIAOS_BASE_URL": "http://env:1", "HESTIAOS_API_KEY": "env-key"}  # noqa: RUF012 - never changed

    def test_it_stands_in_for_what_is_not_given(self) -> None:
        config = Config.from_environ(self.ENVIRON, retries=1)
        assert (config.base_url, config.api_key, config.retries) == ("http://env:1", "env-key", 1)

    def test_what_is_given_wins(self) -> None:
        config = Config.from_environ(self.ENVIRON, base_url="http://own:2", api_key="own-key")
        assert (config.base_url, config.api_key) == ("http://own:2", "own-key")

    def test_an_empty_key_that_is_given_means_none(self) -> None:
        assert Config.from_environ(self.ENVIRON, api_key="").api_key is None

    def test_an_empty_base_url_that_is_given_is_refused(self) -> None:
        with pytest.raises(ValueError, match="is empty"):
            Config.from_environ(self.ENVIRON, base_url="")

    @pytest.mark.parametrize("environ", [{}, {"HESTIAOS_BASE_URL": "", "HESTIAOS_API_KEY": ""}], ids=["unset", "empty"])
    def test_without_either_the_defaults_hold(self, environ: dict[str, str]) -> None:
        assert Config.from_environ(environ) == Config()

    def test_a_wrong_key_of_the_environment_is_not_repeated(self) -> None:
        with pytest.raises(ValueError, match="API key") as caught:
            Config.from_environ({"HESTIAOS_API_KEY": "hunter2\n"})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("http://a.example", ("a.example", 80), False),
        ("https://a.example/x", ("a.example", 443), True),
        ("HTTPS://a.example:8443", ("a.example", 8443), True),
        ("http://[::1]:8000", ("::1", 8000), False),
    ],
)
def test_where_to_connect(url: str, address: tuple[str, int], tls: bool) -> None:
    config = Config(base_url=url)
    assert (config.address, config.tls) == (address, tls)


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("http://h", ("h", 80), False),
        ("https://h", ("h", 443), True),
        ("HTTPS://H/a", ("h", 443), True),
        ("http://h:8443", ("h", 8443), False),
        ("https://h:80/a", ("h", 80), True),
        ("http://[::1]:1", ("::1", 1), False),
        ("https://[::1]", ("::1", 443), True),
    ],
)
def test_where_to_connect_however_it_is_spelled(url: str, address: tuple[str, int], tls: bool) -> None:
    config = Config(base_url=url)
    assert (config.address, config.tls) == (address, tls)


def test_every_character_of_a_token_may_stand_in_a_header_name() -> None:
    """RFC 9110, section 5.6.2."""
    token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert Config(headers={token: "x"}).headers == {token: "x"}
    for character in set(map(chr, range(256))) - set(token):
        with pytest.raises(ValueError, match="is not a header name"):
            Config(headers={f"X{character}": "x"})


def test_every_visible_character_may_stand_in_a_key_and_a_header() -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    assert Config(api_key=visible).api_key == visible
    assert Config(headers={"X-A": visible}).headers == {"X-A": visible}


def test_the_whole_repr() -> None:
    assert repr(Config(api_key="hunter2", headers={"X-A": "1"}, deadline=5.0)) == (
        "Config(base_url='http://localhost:8000', api_key='***', timeout=30.0, retries=3, deadline=5.0, strict=True,"
        " max_body_size=16777216, max_event_size=16777216)"
    )


def test_every_argument_is_named() -> None:
    with pytest.raises(TypeError):
        Config("http://h")


def test_only_slashes_are_taken_from_the_end() -> None:
    assert Config(base_url="http://h/aX//").root_path == "/aX"


@pytest.mark.parametrize("name", ["origin", "root_path"])
def test_what_follows_from_the_base_url_cannot_be_given(name: str) -> None:
    with pytest.raises(TypeError):
        Config(**{name: "x"})


def test_a_head_may_have_64_kib() -> None:
    assert MAX_HEAD_SIZE == 65536


DUPLICATES: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": lambda made, p=protocol: pickle.loads(pickle.dumps(made, p)) for protocol in range(6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


class TestCopies:
    @pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
    @pytest.mark.parametrize("key", [None, "hunter2"])
    def test_a_copy_is_the_same_in_all_that_it_holds(self, duplicate: Callable[[Any], Any], key: str | None) -> None:
        config = Config(
            base_url="http://h:1/a",
            api_key=key,
            timeout=1.0,
            retries=2,
            deadline=3.0,
            headers={"X-A": "1"},
            strict=False,
            max_body_size=4,
            max_event_size=5,
        )
        twin = duplicate(config)
        assert twin == config
        assert (twin.origin, twin.root_path, twin.address) == (config.origin, config.root_path, config.address)
        assert (twin.common_headers, twin.given_headers) == (config.common_headers, config.given_headers)
        assert twin.redactor.text("hunter2") == ("hunter2" if key is None else "***")

    @pytest.mark.parametrize("protocol", range(6))
    def test_no_pickle_holds_the_key(self, protocol: int) -> None:
        assert b"hunter2" not in pickle.dumps(Config(api_key="hunter2"), protocol)

    def test_a_pickle_of_a_key_that_this_process_has_not_used(self) -> None:
        digest = hashlib.sha256(b"hunter2").hexdigest().encode()
        data = pickle.dumps(Config(api_key="hunter2"))
        assert digest in data
        with pytest.raises(ValueError, match="a pickle does not have the API key: set HESTIAOS_API_KEY where"):
            pickle.loads(data.replace(digest, hashlib.sha256(b"never used").hexdigest().encode()))


class TestForCall:
    def test_without_changes_it_is_the_same(self) -> None:
        config = Config(headers={"X-A": "1"})
        assert config.for_call() is config
        assert config.for_call(timeout=None, retries=None, deadline=None, headers=None) is config

    def test_what_is_given_is_changed_and_all_else_kept(self) -> None:
        config = Config(base_url="http://h", api_key="k", max_body_size=5, strict=False)
        changed = config.for_call(timeout=1.0, retries=0, deadline=2.0)
        assert changed == attrs.evolve(config, timeout=1.0, retries=0, deadline=2.0)
        assert (config.timeout, config.retries, config.deadline) == (30.0, 3, None)

    def test_a_header_replaces_those_of_its_name_in_whatever_case(self) -> None:
        config = Config(headers={"X-A": "1", "x-b": "2"})
        changed = config.for_call(headers={"x-a": "3", "X-B": "4", "X-C": "5"})
        assert changed.headers == {"x-a": "3", "X-B": "4", "X-C": "5"}
        assert changed.given_headers == {"x-a", "x-b", "x-c"}
        assert config.for_call(headers={}).headers == config.headers

    def test_user_agent_and_accept_encoding_can_be_replaced(self) -> None:
        sent = Config().for_call(headers={"user-agent": "mine"}).common_headers
        assert sent == {"user-agent": "mine", "Accept-Encoding": "gzip, deflate"}
        sent = Config().for_call(headers={"ACCEPT-ENCODING": "gzip"}).common_headers
        assert sent == {"User-Agent": f"hestiaos-sdk/{__version__}", "ACCEPT-ENCODING": "gzip"}

    def test_every_request_has_the_key_and_the_headers_that_were_given(self) -> None:
        assert Config(api_key="k", headers={"X-A": "1"}).common_headers == {
            "User-Agent": f"hestiaos-sdk/{__version__}",
            "Accept-Encoding": "gzip, deflate",
            "X-A": "1",
            "Authorization": "Bearer k",
        }


@pytest.mark.parametrize("key", ["", " x", "x ", "a\nb", "é", "\0"], ids=ascii)
def test_an_idempotency_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(
        ValueError, match="the idempotency key is empty, or has a character that is not allowed in a header"
    ):
        check_idempotency_key(key)
    check_idempotency_key("k 1")


@pytest.mark.parametrize("key", [b"k", 1, True, ("k",)], ids=repr)
def test_an_idempotency_key_is_a_str(key: Any) -> None:
    with pytest.raises(TypeError, match=f"idempotency_key must be a str or None, not {type(key).__name__}"):
        check_idempotency_key(key)


def test_seconds() -> None:
    assert [seconds("x", value) for value in (None, 1, 0.5)] == [None, 1, 0.5]
