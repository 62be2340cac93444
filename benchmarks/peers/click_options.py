"""A hello-world of Click with as many options as `hestiaos run` has: the floor of a command line of that size."""

from __future__ import annotations

import click

_OPTIONS = 23


@click.command()
@click.argument("name", required=False)
def main(name: str | None, **options: str | None) -> None:
    """Greet NAME."""
    click.echo(f"Hello {name}!")


main.params += [
    click.Option([f"--option-{number}"], metavar="TEXT", help="What this option is there for, in a line of text.")
    for number in range(_OPTIONS)
]
