"""Prompts on a terminal."""

from __future__ import annotations

from getpass import getpass

import click

__all__ = ["ask_secret"]


def ask_secret(question: str) -> str:
    """Ask for a secret without showing what is typed. Raises `UsageError` if nothing is entered, or not UTF-8."""
    try:
        value = getpass(question)
    except EOFError:
        value = ""
    except UnicodeDecodeError as error:
        raise click.UsageError(f"what was entered is not UTF-8: byte {error.start + 1} is wrong") from None
    if not value:
        raise click.UsageError("nothing was entered")
    return value
