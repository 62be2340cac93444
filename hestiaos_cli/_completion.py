"""Complete the names of profiles and agents with the tab key, from this user's files, without network access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_cli._failures import Failure
from hestiaos_cli._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import click
    from click.shell_completion import CompletionItem

__all__ = ["agent_ids", "files", "profile_names"]


def profile_names(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the profiles with this prefix, and their servers."""
    from hestiaos_cli._profiles import Profiles

    return _items(lambda: {each.name: each.base_url for each in Profiles()}, typed)


def agent_ids(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the agents with this prefix in the configuration, or in the one of `--config` if that was typed before."""
    from hestiaos_cli._local_platform import configured_agents

    settings = context.find_object(Settings) or Settings()

    return _items(lambda: dict.fromkeys(configured_agents(settings)), typed)


def files(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell complete file names."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def _items(find: Callable[[], dict[str, str | None]], typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        names = find()
    except (Failure, OSError):  # the file cannot be read: completion does not report errors, but the command does
        return []
    return [CompletionItem(name, help=about) for name, about in names.items() if name.startswith(typed)]
