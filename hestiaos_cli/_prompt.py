"""Prompts on a terminal."""

from __future__ import annotations

from getpass import getpass

import click

__all__ = ["ask_secret"]


def ask_secret(question: str) -> str:
    """Ask for a secret without showing what is typed. Raises `UsageError` if nothing is entered."""
    try:
        value = getpass(question)
    except EOFError:
        value = ""
    if not value:
        raise click.UsageError("nothing was entered")
    return value
