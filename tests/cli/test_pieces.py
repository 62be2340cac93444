"""The pure pieces of the command line: what is visible, rounded, drawn, and where files belong."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_cli._batch.files import drop_torn_line, sort
from hestiaos_cli._batch.progress import Progress, duration
from hestiaos_cli._output import rounded
from hestiaos_cli._server import full_url
from hestiaos_cli._terminal import visible


@given(st.text())
def test_nothing_visible_is_obeyed_by_a_terminal(text: str) -> None:
    """No control character but newline and tab is left, and no other character is changed."""
    shown = visible(text)
    assert all(unicodedata.category(each) != "Cc" or each in "\n\t" for each in shown)
    assert "\u202e" not in shown
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


@given(st.text())
def test_visible_json_is_the_same_json(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1.0, "1"), (0.03333, "0.033"), (9.87, "9.9"), (12.345, "12.3"), (1234567.89, "1234567.9"), (5, "5")],
)
def test_numbers_for_people(value: float, shown: str) -> None:
    assert rounded(value) == shown


@pytest.mark.parametrize(
    ("url", "full"),
    [
        (":8000", "http://localhost:8000"),
        ("localhost", "http://localhost"),
        ("LOCALHOST:8000/api", "http://LOCALHOST:8000/api"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("https://example.com", "https://example.com"),
        ("example.com:8000", "example.com:8000"),  # over plain HTTP the key would be readable
        ("localhost.example.com", "localhost.example.com"),
        ("127.0.0.1.example.com:80", "127.0.0.1.example.com:80"),
        ("", ""),
    ],
)
def test_a_shortened_url(url: str, full: str) -> None:
    assert full_url(url) == full


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (6.6, "0:07"), (3723, "1:02:03")])
def test_a_time_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(10, 200))
def test_progress_fits(done: int, total: int, columns: int) -> None:
    progress = Progress(total)
    for _ in range(min(done, total, 50)):
        progress.advance(failed=True)
    assert len(progress.line(columns)) <= max(columns, 1)


def test_progress_says_what_is_waited_for() -> None:
    progress = Progress(10)
    progress.pause(42)
    assert progress.line(80).endswith("0/10  the server asks to wait 0:42")
    progress.advance(failed=False)
    assert progress.line(80).endswith("left")


@given(st.binary(max_size=300))
def test_only_whole_lines_are_left(data: bytes) -> None:
    """Only what stands after the last newline is taken away."""
    from io import BytesIO

    file = BytesIO(data)
    drop_torn_line(file)  # type: ignore[arg-type]
    assert file.getvalue() == data[: data.rfind(b"\n") + 1]


@given(st.lists(st.integers(1, 20), min_size=1))
def test_the_last_record_of_each_number_is_kept_in_order(numbers: list[int]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder, "out")
        lines = [{"number": number, "input": "x", "place": place} for place, number in enumerate(numbers)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        sort(path, max(numbers))
        found = [json.loads(line) for line in path.read_text().splitlines()]
        assert list(Path(folder).iterdir()) == [path]
    last = {line["number"]: line for line in lines}
    assert found == [last[number] for number in sorted(last)]
