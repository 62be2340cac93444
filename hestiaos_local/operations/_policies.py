"""The operations on the policy: get it, explain its decisions, and test another policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hestiaos_local.governance import Explanation, Facts, Policy, PolicyError, explain, texts_of
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_proto import FieldError, InvalidInput

__all__ = ["policy_operations"]

_SUBJECTS = ("input", "output", "tool")


def policy_operations(policy: Callable[[], Policy]) -> Answers:
    """Return the operations on the policy in use."""

    def explain_command(arguments: Arguments, key: str | None) -> dict[str, Any]:
        current, command_type = policy(), arguments["command_type"]
        decision = current.decide(command_type, *texts_of(arguments["command_input"]))
        return {
            "command_type": command_type,
            "decision": decision.verdict,
            "reason": decision.reason,
            "risk_score": decision.risk_score,
            "policy": current.name,
            "violations": decision.violations,
        }

    def get_policy(arguments: Arguments, key: str | None) -> dict[str, Any]:
        current = policy()
        return {"name": current.name, "version": current.version, "hash": current.hash, "text": current.text}

    def judge(arguments: Arguments, key: str | None) -> dict[str, Any]:
        current, output = policy(), arguments["output"]
        facts = _facts(arguments)
        return _explained(current, explain(current, facts, output))

    return {
        "explain": explain_command,
        "get_policy": get_policy,
        "judge": judge,
        "test_policy": lambda arguments, key: _tested(arguments["text"]),
    }


def _facts(arguments: Arguments) -> Facts:
    """Return the facts to judge. Raises `InvalidInput` unless exactly one of input, output and tool is given."""
    given = [name for name in _SUBJECTS if arguments[name] is not None]
    if len(given) != 1:
        raise _refuse(_SUBJECTS[0], f"give one of input, output and tool, not {' and '.join(given) or 'none'}")
    if arguments["arguments"] is not None and arguments["tool"] is None:
        raise _refuse("arguments", "arguments needs tool, which is missing")
    return Facts(
        command_type=arguments["command_type"],
        texts=() if arguments["input"] is None else (arguments["input"],),
        tool=arguments["tool"],
        arguments=arguments["arguments"],
        agent=arguments["agent"],
        session=arguments["session"],
        key=arguments["key"],
        model=arguments["model"],
    )


def _refuse(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, None, [FieldError(loc=["body", name], msg=message, type="value_error")])


def _explained(policy: Policy, explanation: Explanation) -> dict[str, Any]:
    verdict = explanation.verdict
    return {
        "decision": verdict.decision,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "risk_score": verdict.risk,
        "policy": policy.name,
        "policy_hash": policy.hash,
        "approval": bool(verdict.approval),
        "redactions": [{"rule": each.rule, "start": each.start, "end": each.end} for each in explanation.redactions],
        "shadow": [{"rule": each.rule, "decision": each.decision, "risk_score": each.risk} for each in verdict.shadow],
        "forms": list(explanation.forms),
    }


def _tested(text: str) -> dict[str, Any]:
    try:
        policy, failures = Policy.parse_and_test(text, "policy")
    except PolicyError as error:
        return {"name": None, "hash": None, "tests": 0, "mistakes": list(error.mistakes), "failures": []}
    return {
        "name": policy.name,
        "hash": policy.hash,
        "tests": len(policy.tests),
        "mistakes": [],
        "failures": list(failures),
    }
