"""`hestiaos help`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._output import print_text

__all__ = ["ENVIRONMENT", "command"]

ENVIRONMENT = """\
The variables that are read; an option of the command line wins over each.

HESTIAOS_BASE_URL     the server's URL
HESTIAOS_API_KEY      its API key; of 'hestiaos serve' the key that it asks for
HESTIAOS_PROFILE      the profile to use
HESTIAOS_EXIT_CODES   1: exit statuses tell the failures apart
HESTIAOS_KEYS         the file of API keys of 'hestiaos serve'
HESTIAOS_STORE_KEY    what encrypts the secrets of the local store
NO_COLOR              1: no colours
FORCE_COLOR           1: colours into pipes and files too
TERM                  dumb: no colours, and nothing is drawn over
COLUMNS               the width of help and tables, else the terminal's
HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
                      the proxy, and what goes without it
SSL_CERT_FILE, SSL_CERT_DIR
                      the certificate authorities
XDG_CONFIG_HOME, XDG_DATA_HOME
                      where configuration and data are kept
"""


@make_command("help", takes=frozenset())
@click.argument("words", metavar="[COMMAND|environment]...", nargs=-1)
def command(words: tuple[str, ...]) -> None:
    """Show the help of a command.

    'hestiaos help environment' lists the variables that are read.
    """
    if words == ("environment",):
        print_text(ENVIRONMENT)
        return
    from hestiaos_cli._app import app

    app.main([*words, "--help"], "hestiaos", standalone_mode=False)
