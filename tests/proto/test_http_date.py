"""The three forms of a date in HTTP (RFC 9110, section 5.6.7)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hestiaos_proto._http_date import format_http_date, parse_http_date

MOMENT = 784111777.0  # the standard's own example
NOW = datetime(2025, 6, 1, tzinfo=UTC).timestamp()


def seconds(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type]  # at most six


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
def test_all_three_forms_count(text: str) -> None:
    assert parse_http_date(text, now=NOW) == MOMENT


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", (1970, 1, 1)),
        ("Thu, 29 Feb 2024 23:59:59 GMT", (2024, 2, 29, 23, 59, 59)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", (2016, 12, 31, 23, 59, 59)),
        ("Wed Nov 16 08:49:37 1994", (1994, 11, 16, 8, 49, 37)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", (9999, 12, 31, 23, 59, 59)),
    ],
    ids=["the epoch", "29th of February", "leap second", "asctime with two digits", "the end of the calendar"],
)
def test_dates(text: str, parts: tuple[int, ...]) -> None:
    assert parse_http_date(text, now=NOW) == seconds(*parts)


@pytest.mark.parametrize(
    ("year", "meant"), [("00", 2000), ("25", 2025), ("26", 2026), ("75", 2075), ("76", 1976), ("99", 1999)]
)
def test_a_year_of_two_digits_is_at_most_50_years_ahead(year: str, meant: int) -> None:
    assert parse_http_date(f"Monday, 01-Jan-{year} 00:00:00 GMT", now=NOW) == seconds(meant, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nop 1994 08:49:37 GMT",
        "Fri, 30 Feb 2024 00:00:00 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:99 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_texts_that_are_not_a_date(text: str) -> None:
    assert parse_http_date(text, now=NOW) is None


@pytest.mark.parametrize("moment", [0.0, MOMENT, NOW, 951782400.0, 4102444799.0])
def test_what_is_written_is_read_back(moment: float) -> None:
    assert parse_http_date(format_http_date(moment), now=NOW) == moment


def test_the_form_that_is_written_is_todays() -> None:
    assert format_http_date(MOMENT) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_http_date(MOMENT + 0.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


DAYS_OF_A_YEAR = [
    ("Mon, 06 Jan 2025 00:00:00 GMT", (2025, 1, 6)),
    ("Tue, 04 Feb 2025 00:00:00 GMT", (2025, 2, 4)),
    ("Wed, 05 Mar 2025 00:00:00 GMT", (2025, 3, 5)),
    ("Thu, 03 Apr 2025 00:00:00 GMT", (2025, 4, 3)),
    ("Fri, 02 May 2025 00:00:00 GMT", (2025, 5, 2)),
    ("Sat, 07 Jun 2025 00:00:00 GMT", (2025, 6, 7)),
    ("Sun, 06 Jul 2025 00:00:00 GMT", (2025, 7, 6)),
    ("Mon, 04 Aug 2025 00:00:00 GMT", (2025, 8, 4)),
    ("Tue, 02 Sep 2025 00:00:00 GMT", (2025, 9, 2)),
    ("Wed, 01 Oct 2025 00:00:00 GMT", (2025, 10, 1)),
    ("Thu, 06 Nov 2025 00:00:00 GMT", (2025, 11, 6)),
    ("Fri, 05 Dec 2025 00:00:00 GMT", (2025, 12, 5)),
]


@pytest.fixture(params=["UTC", "AHEAD-12", "BEHIND+12"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine stands in UTC, twelve hours ahead, or twelve after."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("time_zone")
class TestWhereverTheMachineStands:
    @pytest.mark.parametrize(("text", "parts"), DAYS_OF_A_YEAR, ids=[text[:11] for text, _ in DAYS_OF_A_YEAR])
    def test_every_month_and_every_day_of_the_week(self, text: str, parts: tuple[int, ...]) -> None:
        assert format_http_date(seconds(*parts)) == text
        assert parse_http_date(text, now=NOW) == seconds(*parts)

    @pytest.mark.parametrize("now", [seconds(2025, 1, 1), seconds(2025, 12, 31, 23, 59, 59)], ids=["first", "last"])
    def test_the_year_that_a_century_is_taken_from_is_that_of_utc(self, now: float) -> None:
        assert parse_http_date("Tuesday, 01-Jan-75 00:00:00 GMT", now=now) == seconds(2075, 1, 1)
        assert parse_http_date("Thursday, 01-Jan-76 00:00:00 GMT", now=now) == seconds(1976, 1, 1)


def test_without_the_time_a_year_of_two_digits_is_not_a_date() -> None:
    assert parse_http_date("Friday, 09-Oct-26 10:00:00 GMT", now=None) is None
    assert parse_http_date("Fri, 09 Oct 2026 10:00:00 GMT", now=None) == 1791540000.0
