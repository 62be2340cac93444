"""`python -m hestiaos_cli`."""

from hestiaos_cli.app import main

main()
