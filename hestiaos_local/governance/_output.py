"""The output governor: what a model says goes through it, in whatever pieces, and what the policy allows comes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from hestiaos_local._surrogates import SurrogateJoiner
from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._rules import Rule, ShadowHit, Verdict

if TYPE_CHECKING:
    from hestiaos_local.governance._scanner import Decided, Scanner

__all__ = [
    "Blocked",
    "OutputEvent",
    "OutputGovernor",
    "Redaction",
    "ReleasedText",
    "ReleasedToolCall",
]


@frozen
class ReleasedText:
    """Text that may be handed on; what is redacted in it is replaced."""

    text: str = field(repr=False)


@frozen
class ReleasedToolCall:
    """A tool's call that may be handed on, as it came."""

    id: str
    name: str
    arguments: str = field(repr=False)


@frozen
class Blocked:
    """Nothing more is released; the verdict says why."""

    verdict: Verdict


OutputEvent = ReleasedText | ReleasedToolCall | Blocked
"""What comes out of an output governor."""


@frozen
class Redaction:
    """A replaced match and its rule: places in the whole text as the model wrote it, in characters."""

    rule: str
    start: int
    end: int


class OutputGovernor:
    """Judges one output under a policy's rules for outputs and tool calls.

    `receive_text` and `receive_tool_call` take what the model says, `end` its end, and `events` iterates over what
    may be handed on now. For every cutting of a text, what is released, `verdict` and `redactions` are the same. No
    match of a blocking rule is released, nor its beginning; a redacted match is replaced whole. A character is held
    back while it may be part of a match: for as many characters as a match may have, a policy's window at most, and one
    more. What the normal form lacks does not count. A tool's call waits for the text before it, so that none is
    released of an output that is blocked by what was said before.
    """

    def __init__(self, policy: Policy, facts: Facts) -> None:
        self._policy = policy
        self._facts = facts
        enforced, shadow = policy.output_rules(facts)
        self._scanner = _scanner(policy, enforced)
        self._shadow_scanner = _scanner(policy, shadow)
        self._joiner = SurrogateJoiner()
        self._events: list[OutputEvent] = []
        self._calls: deque[tuple[int, ReleasedToolCall]] = deque()  # each with the place in the text where it was made
        self._received = self._decided = 0  # characters
        self._finished = False
        self._hidden = 0  # up to where the text is replaced
        self._shadow: dict[ShadowHit, None] = {}
        self._verdict = policy.verdict(None)
        self.redactions: list[Redaction] = []

    @property
    def verdict(self) -> Verdict:
        """ALLOW as long as nothing is blocked; with what rules in shadow mode would have done."""
        return evolve(self._verdict, shadow=tuple(self._shadow))

    @property
    def finished(self) -> bool:
        """Whether the end was received, or the output is blocked. What is received after a block is dropped."""
        return self._finished

    def receive_text(self, text: str) -> None:
        """Receive a piece of the text."""
        if not self._finished and (text := self._joiner.send(text)):
            self._receive_text(text)

    def receive_tool_call(self, id: str, name: str, arguments: str, *, approved: bool = False) -> None:
        """Receive a tool's call whose arguments, a JSON text, are complete; `approved` is as in `Policy.judge`."""
        if self._finished:
            return
        verdict = self._policy.judge_tool_call(self._facts, name, arguments, approved=approved)
        self._shadow.update(dict.fromkeys(verdict.shadow))
        if verdict.decision == "BLOCK":
            self._block(verdict)
        else:
            self._calls.append((self._received, ReleasedToolCall(id, name, arguments)))
            self._release_calls()

    def end(self) -> None:
        """The output is over: what was held back is judged."""
        if self._finished:
            return
        if rest := self._joiner.end():
            self._receive_text(rest)
        if self._scanner is not None:
            self._release(self._scanner.end())
        if not self._finished:  # by a block
            self._finish()

    def events(self) -> Iterator[OutputEvent]:
        """The events that may be handed on now."""
        while self._events:
            yield self._events.pop(0)

    def _receive_text(self, text: str) -> None:
        self._received += len(text)
        if self._scanner is None:
            self._decided = self._received
            self._events.append(ReleasedText(text))
            self._receive_shadow(text)
        else:
            self._release(self._scanner.receive_text(text))

    def _receive_shadow(self, text: str) -> None:
        """Have rules in shadow mode see what is decided: where that ends does not depend on the pieces."""
        if self._shadow_scanner is not None:
            self._note(self._shadow_scanner, self._shadow_scanner.receive_text(text))

    def _note(self, scanner: Scanner, decided: Decided) -> None:
        self._shadow.update((scanner.rules[match.rule].hit(), None) for match in decided.matches)

    def _release(self, decided: Decided) -> None:
        if not decided.text:
            return
        self._decided = decided.start + len(decided.text)
        if not decided.matches and self._hidden <= decided.start:
            self._events.append(ReleasedText(decided.text))
            if self._shadow_scanner is not None:
                self._receive_shadow(decided.text)
            if self._calls:
                self._release_calls()
            return
        text, end, blocked = self._replaced(decided)
        if text:
            self._events.append(ReleasedText(text))
        self._receive_shadow(decided.text[: end - decided.start])
        if blocked is not None:
            self._block(self._policy.verdict(blocked))
        else:
            self._release_calls()

    def _release_calls(self) -> None:
        while self._calls and self._calls[0][0] <= self._decided:
            self._events.append(self._calls.popleft()[1])

    def _replaced(self, decided: Decided) -> tuple[str, int, Rule | None]:
        """The released text of a piece, the place up to which it goes, and the rule that blocks there."""
        assert self._scanner is not None, "it has decided"
        pieces: list[str] = []
        place = decided.start

        def copy(end: int) -> None:
            nonlocal place
            start = max(place, self._hidden)
            if start < end:
                pieces.append(decided.text[start - decided.start : end - decided.start])
            place = max(place, end)

        for match in decided.matches:
            rule = self._scanner.rules[match.rule]
            copy(match.start)
            if rule.redact is None:
                return "".join(pieces), match.start, rule
            if match.start >= self._hidden:
                pieces.append(rule.redact)
            self._hidden = max(self._hidden, match.end)
            self.redactions.append(Redaction(rule.name, match.start, match.end))
        end = decided.start + len(decided.text)
        copy(end)
        return "".join(pieces), end, None

    def _block(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._events.append(Blocked(verdict))
        self._finish()

    def _finish(self) -> None:
        self._finished = True
        if self._shadow_scanner is not None:
            self._note(self._shadow_scanner, self._shadow_scanner.end())


def _scanner(policy: Policy, rules: Sequence[Rule]) -> Scanner | None:
    if not rules:
        return None
    from hestiaos_local.governance._scanner import Scanner  # most policies need none

    return Scanner(policy.rule_set(tuple(rules)))
