"""What is given for one call alone: its names, and what becomes of the client's config."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_proto import CallOptions, Config, Hooks, StreamOptions
from hestiaos_proto._call_options import config_of_call, is_resumable

CONFIG = Config(headers={"X-A": "1"})


def test_a_stream_can_be_resumed_and_every_other_method_has_a_timeout() -> None:
    """`run_stream` has a `timeout` of its own, which bounds the whole stream."""
    names = {"retries", "deadline", "headers", "idempotency_key", "hooks"}
    assert StreamOptions.__optional_keys__ == names | {"resume"}
    assert CallOptions.__optional_keys__ == names | {"timeout"}
    assert StreamOptions.__required_keys__ == CallOptions.__required_keys__ == frozenset()


def test_what_is_not_given_or_none_is_the_clients() -> None:
    for options in ({}, dict.fromkeys(CallOptions.__optional_keys__), {"idempotency_key": "k", "hooks": Hooks()}):
        assert config_of_call("run", CONFIG, options) is CONFIG


@pytest.mark.parametrize(("name", "value"), [("timeout", 5.0), ("retries", 0), ("deadline", 5)])
def test_what_is_given_is_the_calls(name: str, value: Any) -> None:
    changed = config_of_call("run", CONFIG, {name: value})
    assert getattr(changed, name) == value
    assert changed.headers == CONFIG.headers


def test_headers_are_added() -> None:
    assert config_of_call("run", CONFIG, {"headers": {"X-B": "2"}}).headers == {"X-A": "1", "X-B": "2"}


@pytest.mark.parametrize(
    "options", [{"bogus": 1}, {"bogus": None}, {"timeout": 1.0, "cadence": 1, "bogus": 1}], ids=str
)
def test_an_unknown_name_is_refused_as_python_refuses_it(options: Any) -> None:
    with pytest.raises(TypeError, match=r"run_agent\(\) got an unexpected keyword argument 'bogus'"):
        config_of_call("run_agent", CONFIG, options)


def test_resume_is_an_option_of_streams_only() -> None:
    assert config_of_call("run_stream", CONFIG, {"resume": True}, streams=True) is CONFIG
    with pytest.raises(TypeError, match=r"run\(\) got an unexpected keyword argument 'resume'"):
        config_of_call("run", CONFIG, {"resume": True})


@pytest.mark.parametrize(("options", "resumed"), [({}, False), ({"resume": None}, False), ({"resume": True}, True)])
def test_a_stream_is_resumed_only_where_that_is_asked_for(options: StreamOptions, resumed: bool) -> None:
    assert is_resumable(options) is resumed


@pytest.mark.parametrize("value", [0, 1, "yes"], ids=repr)
def test_a_resume_that_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="resume must be True or False"):
        is_resumable({"resume": value})


@pytest.mark.parametrize("value", ["", "a\nb", b"k", 5], ids=repr)
def test_a_wrong_idempotency_key_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="idempotency"):
        config_of_call("run", CONFIG, {"idempotency_key": value})
