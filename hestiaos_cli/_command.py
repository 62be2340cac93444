"""Click commands and groups with the common options, help that fits the terminal, and hints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from hestiaos_cli._options import ALL, CONNECTION, OUTPUT, common_options
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import width

__all__ = ["Command", "Group", "TextArgument", "command"]

_ANYWHERE = frozenset({"color", "exit_codes"})  # these apply to errors of every command


class _Formatter(click.HelpFormatter):
    """Leaves room for the explanations on a narrow terminal; Click's own takes 30 columns for the names."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(list(rows), min(col_max, max(6, self.width // 3 - 4)), col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter

    def make_formatter(self) -> click.HelpFormatter:
        # Click's own is 50 columns wide at least, and 80 at most.
        return self.formatter_class(width=width() - 2)


class _WithCommonOptions(click.Command):
    """A command that takes some of the common options."""

    context_class = _Context

    def __init__(
        self, *arguments: Any, takes: frozenset[str] = ALL, examples: tuple[str, ...] = (), **attributes: Any
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.context_settings.setdefault("help_option_names", ["--help", "-h"])
        self.takes = takes | _ANYWHERE
        self.examples = examples
        self.params += common_options(self.takes)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, then the common ones."""
        common = {name: title for title, names in (("Server", CONNECTION), ("Output", OUTPUT)) for name in names}
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Server": [], "Output": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                title = "Options" if param.expose_value else common.get(param.name or "", "Options")
                sections[title].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each short enough for any terminal, and the epilog."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")
        super().format_epilog(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and explain an unknown option: which one may be meant, or how to pass a text that looks like one."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from hestiaos_cli._unknown_options import meant_by_option

            if meant := meant_by_option(ctx.command_path, error.option_name):
                raise click.UsageError(f"No such option '{error.option_name}'. {meant}", ctx) from error
            if not any(isinstance(param, TextArgument) for param in self.params):
                raise
            hint = f"A text that begins with a dash comes after --: {ctx.command_path} -- '...'"
            raise click.UsageError(f"{error.format_message()} {hint}", ctx) from error
        except click.BadOptionUsage as error:
            error.ctx = error.ctx or ctx  # Click's parser omits it, and with it the command whose help is named
            raise


class Command(_WithCommonOptions):
    """A command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises `UsageError` for options that it does not use."""
        settings = ctx.ensure_object(Settings)
        for name, option in settings.given.items():
            if name not in self.takes:
                raise click.UsageError(f"'{ctx.command_path}' does not take {option}: leave it out", ctx)
        settings.on_command()
        return super().invoke(ctx)


class Group(_WithCommonOptions, click.Group):
    """A group of commands, which shows its help if no command is named."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and show the help if there are no arguments, which Click treats as an error."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named. Raises `UsageError` with a suggestion."""
        names = self.list_commands(ctx)
        if args[0] in names or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        from hestiaos_cli._unknown_commands import suggestion

        meant = suggestion(ctx.command_path, args, names)
        raise click.UsageError(f"No such command '{args[0]}'. {meant}", ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and then the options."""
        self.format_commands(ctx, formatter)
        _WithCommonOptions.format_options(self, ctx, formatter)


class TextArgument(click.Argument):
    """A text argument, which must be quoted if it has several words; `None` if it is missing."""

    def __init__(self, param_decls: Sequence[str], **attributes: Any) -> None:
        super().__init__(param_decls, nargs=-1, callback=_one_text, **attributes)


def _one_text(context: click.Context, argument: click.Parameter, words: tuple[str, ...]) -> str | None:
    if len(words) > 1:
        before = [context.params[each.name] for each in context.command.params if each.name in context.params]
        leading = " ".join(each for each in before if isinstance(each, str))
        quoted = " ".join(filter(None, (context.command_path, leading, f"'{' '.join(words)}'")))
        raise click.UsageError(f"expected one text, not {len(words)} words: quote it: {quoted}", context)
    return _decoded(words[0]) if words else None


def _decoded(word: str) -> str:
    """Decode an argument as UTF-8, in case the locale could not decode it."""
    if any("\udc80" <= character <= "\udcff" for character in word):
        try:
            return os.fsencode(word).decode()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"the text is not UTF-8: byte {error.start + 1} of it is wrong") from None
    return word


def command(name: str, *, takes: frozenset[str] = ALL, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Turn a function into a command. It gets its own options by keyword, and the `Settings` by `click.pass_obj`."""
    return click.command(name, cls=Command, takes=takes, **attributes)
