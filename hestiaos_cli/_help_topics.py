"""The help topics that are not commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

__all__ = ["EXAMPLE", "TOPICS"]

_VARIABLES = [
    ("HESTIAOS_BASE_URL", "The server's URL."),
    ("HESTIAOS_API_KEY", "The API key to send; for 'hestiaos serve', to require."),
    ("HESTIAOS_PROFILE", "The profile to use."),
    ("HESTIAOS_EXIT_CODES", "With 1, each kind of failure has its exit status."),
    ("HESTIAOS_KEYS", "The file of API keys of 'hestiaos serve'."),
    ("HESTIAOS_STORE_KEY", "The key that encrypts secrets in the local store."),
    ("VISUAL, EDITOR", "The editor of 'hestiaos config edit'."),
    ("NO_COLOR, FORCE_COLOR", "Never use colours; use them in pipes and files too."),
    ("TERM", "With dumb, no colours and no redrawing."),
    ("COLUMNS", "The width of help; else the terminal's."),
    ("HTTP_PROXY, HTTPS_PROXY", "The proxy; ALL_PROXY and NO_PROXY are read too."),
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
    formatter.write_text("The environment variables that are read. Options take precedence over them.")
    formatter.write_paragraph()
    formatter.write_dl(_VARIABLES)


def _models(formatter: click.HelpFormatter) -> None:
    formatter.write_text(
        "--local and 'hestiaos serve' use the models that the configuration names; 'hestiaos config path' prints its "
        "path. For an OpenAI-compatible server (Ollama, vLLM, llama.cpp, LM Studio, LiteLLM):"
    )
    formatter.write_paragraph()
    for line in EXAMPLE.splitlines():
        formatter.write(f"  {line}\n")
    formatter.write_paragraph()
    formatter.write_text(
        "With key_env = \"NAME\", the model server's key is read from that variable. 'hestiaos serve --model-url URL' "
        "needs no file. Without a model the platform echoes its input."
    )


TOPICS: Mapping[str, Callable[[click.HelpFormatter], None]] = {"environment": _environment, "models": _models}
"""What writes each."""
