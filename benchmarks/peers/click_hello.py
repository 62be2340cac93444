"""The hello-world of Click's own documentation: the floor of a command line that is built with it."""

from __future__ import annotations

import click


@click.command()
@click.option("--count", default=1, help="Number of greetings.")
@click.option("--name", prompt="Your name", help="The person to greet.")
def main(count: int, name: str) -> None:
    """Greet NAME for a total of COUNT times."""
    for _ in range(count):
        click.echo(f"Hello {name}!")
