"""The help that is not of a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

__all__ = ["EXAMPLE", "TOPICS"]

_VARIABLES = [
    ("HESTIAOS_BASE_URL", "The server's URL."),
    ("HESTIAOS_API_KEY", "Its API key; of 'hestiaos serve' the one that it asks for."),
    ("HESTIAOS_PROFILE", "The profile to use."),
    ("HESTIAOS_EXIT_CODES", "With 1, exit statuses tell the failures apart."),
    ("HESTIAOS_KEYS", "The file of API keys of 'hestiaos serve'."),
    ("HESTIAOS_STORE_KEY", "What encrypts the secrets in the local store."),
    ("NO_COLOR, FORCE_COLOR", "No colours; colours into pipes and files too."),
    ("TERM", "With dumb, no colours, and nothing is drawn over."),
    ("COLUMNS", "How wide help is, else as the terminal."),
    ("HTTP_PROXY, HTTPS_PROXY", "The proxy; ALL_PROXY and NO_PROXY are minded too."),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "The certificate authorities."),
    ("XDG_CONFIG_HOME, XDG_DATA_HOME", "Where configuration and data are kept."),
]

EXAMPLE = """\
version = 1

[[models]]
name = "small"
url = "http://localhost:11434/v1"
model = "llama3.2:1b"
"""
"""A configuration with a model."""


def _environment(formatter: click.HelpFormatter) -> None:
    formatter.write_text("The variables that are read. An option of the command line wins over each.")
    formatter.write_paragraph()
    formatter.write_dl(_VARIABLES)


def _models(formatter: click.HelpFormatter) -> None:
    formatter.write_text(
        "Models answer where the configuration names them, for --local and for 'hestiaos serve'. 'hestiaos config "
        "path' says which file that is. For an OpenAI-compatible server (Ollama, vLLM, llama.cpp, LM Studio, LiteLLM):"
    )
    formatter.write_paragraph()
    for line in EXAMPLE.splitlines():
        formatter.write(f"  {line}\n")
    formatter.write_paragraph()
    formatter.write_text(
        "A server's key comes from the variable that key_env = \"NAME\" names. 'hestiaos serve --model-url URL' needs "
        "no file. Without a model the echo answers, which says what it was sent."
    )


TOPICS: Mapping[str, Callable[[click.HelpFormatter], None]] = {"environment": _environment, "models": _models}
"""What writes each."""
