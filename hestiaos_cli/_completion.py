"""What the tab key completes beside commands and options: names of this user's own files, without any network."""

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
    """The profiles that begin so, with their servers."""
    from hestiaos_cli._profiles import Profiles

    return _items(lambda: {each.name: each.base_url for each in Profiles()}, typed)


def agent_ids(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The agents of the configuration that begin so: that of `--config`, where it was typed before."""
    from hestiaos_cli._local_platform import configured_agents

    settings = context.find_object(Settings) or Settings()

    return _items(lambda: dict.fromkeys(configured_agents(settings)), typed)


def files(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """The shell completes them itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def _items(find: Callable[[], dict[str, str | None]], typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        names = find()
    except (Failure, OSError):  # a file that cannot be read: its command says why, the tab key completes nothing
        return []
    return [CompletionItem(name, help=about) for name, about in names.items() if name.startswith(typed)]
