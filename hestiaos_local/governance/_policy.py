"""A policy: an ordered list of rules, read from a file, and its verdicts on facts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, field, frozen

from hestiaos_local.governance._engines import Engine, Searcher, re2_engine, re_engine
from hestiaos_local.governance._errors import PolicyError
from hestiaos_local.governance._facts import Facts, arguments_of, texts_in, texts_of
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._rules import DecisionName, Limit, PolicyTest, Rule, RuleKind, Subject, Verdict
from hestiaos_local.governance._version2 import read_version2
from hestiaos_local.toml import TomlFile, read_text

if TYPE_CHECKING:
    from hestiaos_local.governance._redaction import TextRedactor
    from hestiaos_local.governance._rule_sets import RuleSet

__all__ = ["Decision", "Policy"]

_JUDGED: tuple[RuleKind, ...] = ("input", "tool")


@frozen
class Decision:
    """A decision of governance. `risk_score` is from 0 to 1, `rule` is None if no rule matched."""

    verdict: DecisionName
    risk_score: float
    reason: str
    rule: str | None = None

    @property
    def violations(self) -> list[dict[str, Any]]:
        """The violated rules in the format of the protocol, empty for ALLOW."""
        if self.verdict == "ALLOW":
            return []
        return [{"rule": self.rule, "decision": self.verdict, "risk_score": self.risk_score, "reason": self.reason}]


@frozen
class Policy:
    """An ordered list of rules with a name. `hash` is the hexadecimal SHA-256 of the policy's text.

    A policy has no state: it always returns the same verdict on the same facts.
    """

    name: str
    rules: tuple[Rule, ...] = field(repr=False)
    version: int = 2
    hash: str = ""
    text: str = field(default="", eq=False, repr=False)
    limits: tuple[Limit, ...] = field(default=(), repr=False)
    tests: tuple[PolicyTest, ...] = field(default=(), repr=False)
    engine: Engine = field(factory=re_engine, eq=False, repr=False)
    _kinds: dict[RuleKind, tuple[Rule, ...]] = field(init=False, factory=dict, eq=False, repr=False)
    _searchers: dict[RuleKind, Searcher | None] = field(init=False, factory=dict, eq=False, repr=False)
    _judged: set[RuleKind] = field(init=False, factory=set, eq=False, repr=False)
    _rule_sets: dict[tuple[int, ...], RuleSet] = field(init=False, factory=dict, eq=False, repr=False)
    _redactors: dict[tuple[int, ...], TextRedactor] = field(init=False, factory=dict, eq=False, repr=False)

    def judge(self, facts: Facts, *, approved: bool = False) -> Verdict:
        """Return the verdict of the first matching rule, on a tool call if the facts have a tool, else on an execution.

        If the call was `approved`, rules with `approval` are skipped.
        """
        shadow = []
        asking: list[str] = []
        decided = asks = None
        for rule in self._matching(facts):
            if rule.shadow:
                shadow.append(rule.hit())
            elif decided is None and rule.approval:
                asking.append(rule.name)
                asks = asks or rule
            elif decided is None:
                decided = rule
        if asks is None or approved:
            return self.verdict(decided, shadow=tuple(shadow))
        return self.verdict(asks, shadow=tuple(shadow), approval=tuple(asking))

    def judge_tool_call(self, facts: Facts, name: str, arguments: str, *, approved: bool = False) -> Verdict:
        """Return the verdict on a tool call in this execution. `arguments` is the JSON text written by the model."""
        return self.judge(evolve(facts, tool=name, arguments=arguments_of(arguments)), approved=approved)

    def rule_set(self, rules: tuple[Rule, ...]) -> RuleSet:
        """Compile some of the rules for searching outputs. The result is cached."""
        from hestiaos_local.governance._rule_sets import RuleSet  # needed for outputs only

        key = tuple(map(id, rules))
        if key not in self._rule_sets:
            self._rule_sets[key] = RuleSet(rules, self.engine)
        return self._rule_sets[key]

    def rules_on(self, kind: RuleKind) -> tuple[Rule, ...]:
        """Return the rules for one kind of text, in order."""
        if kind not in self._kinds:
            self._kinds[kind] = tuple(rule for rule in self.rules if kind in rule.on)
        return self._kinds[kind]

    def output_rules(self, facts: Facts) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Return the rules for outputs under these facts: the enforced ones, and those in shadow mode."""
        rules = [rule for rule in self.rules_on("output") if rule.fits(facts)]
        return tuple(rule for rule in rules if not rule.shadow), tuple(rule for rule in rules if rule.shadow)

    def prepare(self, facts: Facts) -> None:
        """Compile the rules for outputs under these facts in advance, so that the first piece does not wait for it."""
        for rules in self.output_rules(facts):
            if rules:
                self.rule_set(rules).prepare()

    def compile(self) -> None:
        """Compile the patterns now, instead of at the first input or tool call that needs them."""
        searchers = [rule.whole for rule in self.rules_on("command")]
        for kind in _JUDGED:
            joined = self._searcher(kind)
            searchers += [rule.searcher for rule in self.rules_on(kind)] if joined is None else [joined]
        for searcher in searchers:
            if searcher is not None:
                searcher.search("")  # which compiles it

    def depends_on(self, fact: str) -> bool:
        """Return whether a rule has a condition on this fact: `agent`, `session`, `key` or `model`."""
        return any(fact in rule.conditions for rule in self.rules)

    def redactor(self, rules: tuple[Rule, ...]) -> TextRedactor:
        """Compile a redactor of the matches of some of the rules. The result is cached."""
        from hestiaos_local.governance._redaction import TextRedactor  # avoids an import cycle

        key = tuple(map(id, rules))
        if key not in self._redactors:
            self._redactors[key] = TextRedactor(rules, self.engine)
        return self._redactors[key]

    def verdict(self, rule: Rule | None, **more: Any) -> Verdict:
        """Return the verdict of this rule, or ALLOW if there is none."""
        if rule is None or rule.decision is None:
            return Verdict(decision="ALLOW", policy=self.hash, **more)
        return Verdict(
            decision=rule.decision,
            rule=rule.name,
            reason=rule.reason,
            risk=rule.risk,
            policy=self.hash,
            max_tokens=rule.max_tokens,
            bucket=rule.bucket,
            **more,
        )

    def decide(self, command_type: str, *texts: str) -> Decision:
        """Return the decision on a command of this type (`"RUN"`) with these inputs."""
        verdict = self.judge(Facts(command_type=command_type, texts=texts))
        return Decision(verdict.decision, verdict.risk, verdict.reason, verdict.rule)

    def _matching(self, facts: Facts) -> Iterator[Rule]:
        """Yield the matching rules in order, except those that redact, unless in shadow mode."""
        kind: RuleKind = "input" if facts.tool is None else "tool"
        if facts.tool is None:
            subject = self._subject(facts.texts)
        else:
            subject = self._subject([facts.tool, *texts_of(facts.arguments)])
        command_type = self._command_subject(facts.command_type)
        something = self._may_match(kind, subject)
        for rule in self.rules:
            if (rule.redact is not None and not rule.shadow) or not rule.fits(facts):
                continue
            if kind in rule.on:
                if rule.path is not None:
                    matches = rule.matches_arguments(facts.arguments)
                else:
                    matches = (something or rule.searcher is None) and rule.matches(subject)
                if matches:
                    yield rule
                    continue
            if kind == "input" and "command" in rule.on and rule.matches_command(command_type):
                yield rule

    def _subject(self, texts: Iterable[str]) -> Subject:
        if self.version == 1:
            return Subject(["\n".join(texts)], plain=True)
        return Subject([form for text in texts for form in (text, *texts_in(text))])

    def _command_subject(self, command_type: str) -> Subject:
        """Return the subject of a command's type, as given and without surrounding white space."""
        if self.version == 1:
            return self._subject([command_type])
        return self._subject(dict.fromkeys((command_type, normalized(command_type).strip())))

    def _may_match(self, kind: RuleKind, subject: Subject) -> bool:
        """Return whether a rule of this kind may match. One search excludes most texts."""
        if kind not in self._searchers and kind not in self._judged:
            self._judged.add(kind)
            # Compiling takes longer than the literals, which then take longer than one search: only the first text
            # is judged without, often the only one of a process.
            if not any(rule.may_match(subject) for rule in self.rules_on(kind)):
                return False
        searcher = self._searcher(kind)
        return searcher is None or subject.has(searcher)

    def _searcher(self, kind: RuleKind) -> Searcher | None:
        """Return a searcher for all rules of this kind; None if a search for each rule is faster. It is cached."""
        if kind not in self._searchers:
            sources = [source for rule in self.rules_on(kind) for source in rule.sources]
            self._searchers[kind] = self.engine.compile(sources) if sources and self.engine.joins else None
        return self._searchers[kind]

    @staticmethod
    def default(*, tests: bool = False) -> Policy:
        """Return the built-in policy, `default_policy.toml`, which is read once. RE2 makes it faster, but is optional.

        With `tests`, its patterns are checked, and its tests are read and run.
        """
        from hestiaos_local.governance._default_policy import default_policy  # avoids an import cycle

        return default_policy(tests)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a policy file. Raises `PolicyError` with all mistakes in it, or if it cannot be read."""
        return cls.parse(read_text(path, PolicyError), os.fspath(path))

    @classmethod
    def parse(cls, text: str, source: str, *, engine: Engine | None = None, tests: bool = True) -> Self:
        """Parse the text of a policy, and run its tests. Raises `PolicyError`.

        `source` is the name in messages, and the default of the policy's name. `engine` compiles the patterns of
        version 2, by default with RE2. With `tests=False`, the file is not read beyond its first test, as reading tests
        takes as long as reading rules.
        """
        policy, failures = cls.parse_and_test(text, source, engine=engine, tests=tests)
        if failures:
            raise PolicyError(failures)
        return policy

    @classmethod
    def parse_and_test(
        cls, text: str, source: str, *, engine: Engine | None = None, tests: bool = True
    ) -> tuple[Self, tuple[str, ...]]:
        """Parse like `parse`, but return the policy and a line for each failed test instead of raising for them."""
        text = text.replace("\r\n", "\n")  # as a TOML parser does
        digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        known = text if tests else text.partition("\n[[tests]]\n")[0]
        read = TomlFile(known, source, PolicyError)
        if read.document.get("version") != 2:
            from hestiaos_local.governance._version1 import read_version1

            name, rules = read_version1(read.document, known, source)
            return cls(name=name, rules=rules, version=1, hash=digest, text=text), ()
        file = read_version2(read, source, engine or re2_engine())
        policy = cls(
            name=file.name,
            rules=file.rules,
            hash=digest,
            text=text,
            limits=file.limits,
            tests=file.tests,
            engine=file.engine,
        )
        policy.prepare(Facts())
        return policy, tuple(f"{source}, line {file.test_line(index)}: {why}" for index, why in policy.run_tests())

    def run_tests(self) -> list[tuple[int, str]]:
        """Run the tests of the policy. Return the index of each failed one, and how the result differs."""
        failed: list[tuple[int, str]] = []
        if not self.tests:
            return failed
        from hestiaos_local.governance._explanations import explain  # avoids an import cycle

        for index, test in enumerate(self.tests):
            expect, rule = explain(self, test.facts, test.output).outcome
            if expect != test.expect or (test.rule is not None and rule != test.rule):
                wanted = test.expect + (f" by {test.rule!r}" if test.rule is not None else "")
                failed.append((index, f"the test expects {wanted}, not {expect}" + (f" by {rule!r}" if rule else "")))
        return failed
