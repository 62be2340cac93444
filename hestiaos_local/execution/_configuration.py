"""Read the configuration file, which defines models and agents.

```toml
version = 1

[[models]]                            # the first one is the default
name = "small"                        # the name for clients
url = "http://localhost:11434/v1"     # an OpenAI-compatible model server
model = "llama3.2:1b"                 # the name on the server; by default the same
key_env = "MODEL_KEY"                 # the environment variable with the server's key, if it needs one
max_tokens = 2048                     # the maximum length of an answer

[[agents]]
id = "researcher"
system = "You look things up and name your sources."
model = "small"                       # by default the first one
tools = ["search"]                    # the tools that it may call; by default any
max_tokens = 512                      # the lowest of this, the model's and the caller's limit applies
timeout_ms = 60000
```

`policy` and `store`, paths outside of these tables, are for the command line: they are returned as written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from attrs import field, frozen

from hestiaos_local.execution._agents import Agent
from hestiaos_local.execution._router import ModelRouter
from hestiaos_local.toml import Table, TomlFile, read_text

__all__ = ["Configuration", "ModelConfig"]


@frozen(kw_only=True)
class ModelConfig:
    """A model: its server, and its name there."""

    name: str
    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    max_tokens: int | None = None


@frozen(kw_only=True)
class Configuration:
    """The contents of a configuration file. `models` and `agents` are by name, in the order of the file."""

    models: Mapping[str, ModelConfig]
    agents: Mapping[str, Agent]
    policy: str | None = None
    store: str | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], environ: Mapping[str, str] = os.environ) -> Self:
        """Read a configuration file. Raises `ConfigurationError` with all mistakes in it, or if it cannot be read."""
        return cls.parse(read_text(path), os.fspath(path), environ)

    @classmethod
    def parse(cls, text: str, source: str, environ: Mapping[str, str]) -> Self:
        """Parse the text of a file. `source` is its name in messages, `environ` has the keys of the model servers."""
        file = TomlFile(text, source)
        root = file.root
        root.constant("version", 1)
        policy, store = root.text("policy"), root.text("store")
        models: dict[str, ModelConfig] = {}
        for table in root.tables("models"):
            model = _model(table, environ)
            if model.name and model.name in models:
                table.refuse("name", f"must be unique: {model.name!r} is used already")
            models[model.name] = model
        agents: dict[str, Agent] = {}
        for table in root.tables("agents"):
            agent = _agent(table, models)
            if agent.id and agent.id in agents:
                table.refuse("id", f"must be unique: {agent.id!r} is used already")
            agents[agent.id] = agent
        root.close()
        file.check()
        return cls(models=models, agents=agents, policy=policy, store=store)

    def executor(self) -> ModelRouter:
        """Create the executor of the models. Raises `ValueError` if there are none."""
        from hestiaos_local.execution._relay import RelayExecutor  # it uses httpx

        return ModelRouter(
            {
                name: RelayExecutor(each.url, model=each.model, key=each.key, max_tokens=each.max_tokens)
                for name, each in self.models.items()
            }
        )


def _model(table: Table, environ: Mapping[str, str]) -> ModelConfig:
    name, url = table.text("name", needed=True) or "", table.text("url", needed=True) or ""
    if url and (why := _not_a_url(url)):
        table.refuse("url", why)
    model = table.text("model") or name
    key = None
    if (variable := table.text("key_env")) is not None and not (key := environ.get(variable)):
        table.refuse("key_env", f"names the environment variable {variable}, which is not set")
    max_tokens = table.number("max_tokens")
    table.close()
    return ModelConfig(name=name, url=url, model=model, key=key, max_tokens=max_tokens)


def _agent(table: Table, models: Mapping[str, ModelConfig]) -> Agent:
    agent_id, system, model = table.text("id", needed=True) or "", table.text("system"), table.text("model")
    if model is not None and model not in models:
        table.refuse("model", f"is {model!r}, but the file's models are {', '.join(models) or 'none'}")
    tools, max_tokens, timeout = table.texts("tools"), table.number("max_tokens"), table.number("timeout_ms")
    table.close()
    return Agent(
        id=agent_id,
        system=system,
        model=model,
        tools=None if tools is None else frozenset(tools),
        max_tokens=max_tokens,
        timeout=None if timeout is None else timeout / 1000,
    )


def _not_a_url(url: str) -> str | None:
    """Return why this is not the URL of a model server, or None. It is not quoted if it may contain a password."""
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if user is not None:
        return "must not contain a user or password: name the variable with the key in key_env"
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        return f"must be like http://localhost:11434/v1, not {url!r}"
    return None
