"""What governance costs: the output governor for a piece of a stream, and a verdict on an input.

CPU time of this process. The least of the rounds counts, since what disturbs the machine only adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks.contestants import BenchmarkFailed
from benchmarks.measuring import Plan
from benchmarks.results import Result, Row, seconds
from hestiaos_local.governance import Facts, OutputGovernor, Policy, ReleasedText

_MOST_FOR_A_PIECE = 5e-6
_MOST_FOR_A_VERDICT = 150e-6
_PIECE = 20  # bytes
_INPUT = 4096

_PATTERNS = (
    r"sk-[A-Za-z0-9]{16,48}",
    r"\bAKIA[A-Z0-9]{16}\b",
    r"\bghp_[A-Za-z0-9]{36}\b",
    r"(?i)\brm\s{1,3}-rf\s",
    r"(?i)drop\s{1,3}table",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b\d{4} \d{4} \d{4} \d{4}\b",
    r"(?i)project\s{1,3}bluebird",
    r"(?i)internal use only",
    r"https?://intranet\.example\.com",
)
_TEXTS = {
    "English prose": (
        "The committee met again on Tuesday, and after a long discussion its members agreed to postpone the decision "
        "until spring. Nobody was surprised: the figures were not ready, and the report was late by two weeks. "
    ),
    "Russian prose": "Комитет снова собрался во вторник, и его члены согласились отложить решение до весны. ",
    "Arabic prose": "اجتمعت اللجنة مرة أخرى يوم الثلاثاء، وبعد نقاش طويل اتفق أعضاؤها على تأجيل القرار حتى الربيع. ",
    "Hindi prose": "समिति की बैठक मंगलवार को फिर हुई, और सदस्यों ने निर्णय को वसंत तक टालने पर सहमति जताई। ",
    "Chinese prose": "委员会星期二再次开会，经过长时间的讨论，委员们同意将决定推迟到春天。没有人感到惊讶。",
    "Python": (
        "class Counter(dict):\n    def add(self, key, count=1):\n        self[key] = self.get(key, 0) + count\n"
        '        print(f"{key}:\\t{self[key]!r}\\n")\n\n\n'
    ),
    "Markdown": (
        "## Results\n\nThe table shows **three** runs:\n\n| run | time |\n| --- | ---: |\n| one | 12.5 |\n\n"
        "- first, `make build`\n- then: [read this](https://example.com/a_b)\n\n1.  Numbered\n    - nested  \n\n"
    ),
}


def run(plan: Plan) -> Result:
    """Pieces of each kind of text, then inputs of them."""
    outputs, inputs = _policy(), Policy.default()
    rows = []
    for name, text in _TEXTS.items():
        parts = _pieces(text * (1 if plan.quick else 20_000 // len(text)))
        cost = _least(partial(_govern, outputs, parts), plan) / len(parts)
        rows.append(_row(f"a piece of {_PIECE} bytes governed under ten rules: {name}", cost, _MOST_FOR_A_PIECE))
    for name, text in _TEXTS.items():
        whole = (text.encode() * _INPUT)[:_INPUT].decode(errors="ignore")
        facts = Facts(command_type="RUN", texts=(whole,))
        count = plan.size(100, quick=1)
        cost = _least(partial(_judge, inputs, facts, count), plan) / count
        rows.append(_row(f"a verdict on an input of {_INPUT // 1024} KiB: {name}", cost, _MOST_FOR_A_VERDICT))
    return Result() if plan.quick else Result(rows)


def _policy() -> Policy:
    rules = [
        f"[[rules]]\nname = 'r{number}'\non = 'output'\npattern = '{pattern}'\n"
        + ("action = 'redact'\n" if number % 2 else "decision = 'BLOCK'\n")
        for number, pattern in enumerate(_PATTERNS)
    ]
    return Policy.parse("version = 2\n" + "".join(rules), "benchmark")


def _pieces(text: str) -> list[str]:
    """Of at most so many bytes, none of which ends inside of a character."""
    pieces, size = [""], 0
    for char in text:
        size += len(char.encode())
        if size > _PIECE:
            pieces.append("")
            size = len(char.encode())
        pieces[-1] += char
    return pieces


def _govern(policy: Policy, pieces: list[str]) -> None:
    governor = OutputGovernor(policy, Facts())
    released = 0
    for piece in pieces:
        governor.receive_text(piece)
        for event in governor.events():
            assert isinstance(event, ReleasedText)
            released += len(event.text)
    if not 0 <= sum(map(len, pieces)) - released <= 64:
        raise BenchmarkFailed("an output that no rule is about was not released")


def _judge(policy: Policy, facts: Facts, count: int) -> None:
    for _ in range(count):
        if policy.judge(facts).decision != "ALLOW":
            raise BenchmarkFailed("an input that no rule is about was not allowed")


def _least(work: Callable[[], None], plan: Plan) -> float:
    costs = []
    for _ in range(plan.rounds):
        began = time.process_time()
        work()
        costs.append(time.process_time() - began)
    return min(costs)


def _row(work: str, cost: float, most: float) -> Row:
    return Row(work, "", f"at most {seconds(most)}", seconds(cost), seconds(cost), cost <= most)
