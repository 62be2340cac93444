"""`python -m hestiaos_cli`."""

from hestiaos_cli._main import main

main()
