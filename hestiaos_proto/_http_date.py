"""Dates in HTTP fields (RFC 9110, section 5.6.7): the form of today and the two obsolete ones, all of which count."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["format_http_date", "parse_http_date"]

_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = (  # compiled on first use, which is rare; `re` caches them
    rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
    rf"[A-Z][a-z]+day, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_TIME} GMT",  # RFC 850
    rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # asctime
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_http_date(seconds: float) -> str:
    """Format `seconds` since 1970 as an IMF-fixdate."""
    date = datetime.fromtimestamp(seconds, UTC)  # strftime would name the days in the language of the locale
    return f"{_DAYS[date.weekday()]}, {date.day:02} {_MONTHS[date.month - 1]} {date:%Y %H:%M:%S} GMT"


def parse_http_date(text: str, *, now: float | None) -> float | None:
    """Parse an HTTP date into seconds since 1970. Return `None` if it is not a date.

    `now`, in the same seconds, decides the century of a year of two digits: it is never more than 50 years ahead.
    Without it such a date is not read.
    """
    found = next((match for form in _FORMS if (match := re.fullmatch(form, text, re.ASCII))), None)
    if found is None or found["month"] not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        if now is None:
            return None
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    second = 59 if found["second"] == "60" else int(found["second"])  # a leap second, which datetime does not have
    month, day, hour, minute = _MONTHS.index(found["month"]) + 1, *map(int, found.group("day", "hour", "minute"))
    try:
        date = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # the 30th of February
        return None
    return date.timestamp()
