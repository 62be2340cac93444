"""Types of numbers for options."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Number", "WholeNumber"]

_MOST = 1e9  # as seconds that is 30 years, which a sleep and a selector can still take


class Number(click.FloatRange):
    """A number from `min` on, below 10**9. Click's own range also takes `nan` and infinity."""

    name = "number"  # in the error about a text; Click's own is "float range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not number < _MOST:
            self.fail(f"{value} is not a number below 10**9.", param, ctx)
        return number


class WholeNumber(click.IntRange):
    """A whole number in a range."""

    name = "whole number"  # Click's own is "integer range"
