"""`python -m hestiaos_cli`."""

from hestiaos_cli._app import main

main()
