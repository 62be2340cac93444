"""The output governor, which filters a model's output by a policy, whatever pieces the output arrives in."""

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
    """Text that is allowed, with redactions applied."""

    text: str = field(repr=False)


@frozen
class ReleasedToolCall:
    """A tool call that is allowed, unchanged."""

    id: str
    name: str
    arguments: str = field(repr=False)


@frozen
class Blocked:
    """The output is blocked, for the reason in the verdict. Nothing more is released."""

    verdict: Verdict


OutputEvent = ReleasedText | ReleasedToolCall | Blocked
"""An event of an output governor."""


@frozen
class Redaction:
    """A replaced match and its rule. Positions are in characters of the model's original text."""

    rule: str
    start: int
    end: int


class OutputGovernor:
    """Judges one output under a policy's rules for outputs and tool calls.

    Pass the output to `receive_text` and `receive_tool_call`, and call `end` at its end. `events` iterates over what is
    allowed so far. The released text, `verdict` and `redactions` do not depend on how the text is split into pieces. No
    part of a match of a blocking rule is released, and a redacted match is replaced as a whole. A character is held
    back while it may be part of a match: for the maximum length of a match, which is limited by the policy's window,
    plus one character. Characters that the normal form omits do not count. A tool call waits for the text before it, so
    that no call is released if that text is blocked.
    """

    def __init__(self, policy: Policy, facts: Facts) -> None:
        self._policy = policy
        self._facts = facts
        enforced, shadow = policy.output_rules(facts)
        self._scanner = _scanner(policy, enforced)
        self._shadow_scanner = _scanner(policy, shadow)
        self._joiner = SurrogateJoiner()
        self._events: list[OutputEvent] = []
        self._calls: deque[tuple[int, ReleasedToolCall]] = deque()  # each with its position in the text
        self._received = self._decided = 0  # characters
        self._finished = False
        self._hidden = 0  # the position up to which the text is replaced
        self._shadow: dict[ShadowHit, None] = {}
        self._verdict = policy.verdict(None)
        self.redactions: list[Redaction] = []

    @property
    def verdict(self) -> Verdict:
        """The verdict so far, ALLOW while nothing is blocked, with the hits of rules in shadow mode."""
        return evolve(self._verdict, shadow=tuple(self._shadow))

    @property
    def finished(self) -> bool:
        """Whether the end was received, or the output is blocked. Input after a block is discarded."""
        return self._finished

    def receive_text(self, text: str) -> None:
        """Receive a piece of the text."""
        if not self._finished and (text := self._joiner.send(text)):
            self._receive_text(text)

    def receive_tool_call(self, id: str, name: str, arguments: str, *, approved: bool = False) -> None:
        """Receive a complete tool call. `arguments` is a JSON text, `approved` as in `Policy.judge`."""
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
        """Receive the end of the output, and judge what was held back."""
        if self._finished:
            return
        if rest := self._joiner.end():
            self._receive_text(rest)
        if self._scanner is not None:
            self._release(self._scanner.end())
        if not self._finished:  # by a block
            self._finish()

    def events(self) -> Iterator[OutputEvent]:
        """Yield the events that are released so far."""
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
        """Apply rules in shadow mode to the decided text, whose end does not depend on the pieces."""
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
        """Return the released text of a piece, the position of its end, and the rule that blocks there."""
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
    from hestiaos_local.governance._scanner import Scanner  # not needed for most policies

    return Scanner(policy.rule_set(tuple(rules)))
