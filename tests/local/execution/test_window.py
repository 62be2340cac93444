"""The window rule of a chat's history."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.execution import MESSAGE_TOKENS, Message, estimate_tokens, history_window, message_text

SYSTEM = {"role": "system", "content": "s" * 4}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str | None, *calls: str) -> Message:
    return {"role": "assistant", "content": text, "tool_calls": [{"id": call} for call in calls]}


def tool(call: str) -> Message:
    return {"role": "tool", "content": "sunny", "tool_call_id": call}


TURNS = [[user("a" * 40), assistant("b" * 40)], [user("c" * 40), assistant("d" * 40)], [user("e" * 40)]]
HISTORY = [SYSTEM, *TURNS[0], *TURNS[1], *TURNS[2]]
COSTS = 10 + MESSAGE_TOKENS  # of each message, and 5 of the prompt


@pytest.mark.parametrize(
    ("max_tokens", "kept"),
    [
        (5 + 5 * COSTS, HISTORY),
        (4 + 5 * COSTS, [SYSTEM, *TURNS[1], *TURNS[2]]),
        (5 + 3 * COSTS, [SYSTEM, *TURNS[1], *TURNS[2]]),
        (4 + 3 * COSTS, [SYSTEM, *TURNS[2]]),
        (1, [SYSTEM, *TURNS[2]]),
    ],
)
def test_the_newest_turns_that_fit_are_sent(max_tokens: int, kept: list[Message]) -> None:
    assert history_window(HISTORY, max_tokens=max_tokens, max_messages=100) == kept


@pytest.mark.parametrize(("most", "kept"), [(6, 6), (5, 4), (4, 4), (3, 2), (1, 2)])
def test_the_number_of_messages_counts(most: int, kept: int) -> None:
    assert len(history_window(HISTORY, max_tokens=10_000, max_messages=most)) == kept


def test_a_turn_with_tool_calls_is_sent_whole() -> None:
    turn = [user("a"), assistant(None, "c1"), tool("c1"), assistant("b")]
    assert history_window([*TURNS[0], *turn], max_tokens=1, max_messages=1) == turn


def test_the_arguments_of_tool_calls_count() -> None:
    turn = [user("a"), assistant(None, "c" * 400)]
    assert history_window([*turn, *TURNS[2]], max_tokens=100, max_messages=100) == TURNS[2]
    assert history_window([*turn, *TURNS[2]], max_tokens=200, max_messages=100) == [*turn, *TURNS[2]]


@pytest.mark.parametrize("history", [[], [SYSTEM], [assistant("a")], [SYSTEM, assistant("a"), user("b")]])
def test_histories_without_a_first_question(history: list[Message]) -> None:
    assert history_window(history, max_tokens=100, max_messages=100) == history


MESSAGES = st.builds(
    lambda role, text: {"role": role, "content": text},
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.text("ab", max_size=30),
)


@given(st.lists(MESSAGES, max_size=12), st.integers(1, 80), st.integers(1, 12))
def test_what_is_sent_is_the_opening_and_an_end_of_the_history_that_begins_with_a_turn(
    history: list[Message], max_tokens: int, max_messages: int
) -> None:
    """It fits, or is the newest turn alone; and one older turn would not fit."""

    def fits(messages: list[Message]) -> bool:
        tokens = sum(MESSAGE_TOKENS + estimate_tokens(message_text(each)) for each in messages)
        return tokens <= max_tokens and len(messages) <= max_messages

    opening = next((i for i, each in enumerate(history) if each["role"] != "system"), len(history))
    starts = sorted({opening, *(i for i in range(opening, len(history)) if history[i]["role"] == "user")})
    choices = [[*history[:opening], *history[start:]] for start in starts]
    window = history_window(history, max_tokens=max_tokens, max_messages=max_messages)
    assert window in choices
    assert fits(window) or window == choices[-1]
    assert not any(fits(more) for more, chosen in pairwise(choices) if chosen == window)
