"""Prompts on a terminal, and never without one."""

from __future__ import annotations

from getpass import getpass

import click

__all__ = ["ask_secret"]


def ask_secret(question: str) -> str:
    """Ask for a secret without showing what is typed. Raises `UsageError` where nothing is."""
    try:
        value = getpass(question)
    except EOFError:
        value = ""
    if not value:
        raise click.UsageError("nothing was entered")
    return value
