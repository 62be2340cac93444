"""The LiteLLM proxy, in an environment of its own: it needs other versions of what we measure, and many packages."""

from __future__ import annotations

import subprocess
import venv
from functools import cache
from pathlib import Path

_RELEASE = "litellm[proxy]==1.108.7"
_CACHE = Path(__file__).parent / ".cache" / "litellm-1.108.7"

KEY = "sk-hestiaos-benchmarks-0123456789abcdef"
"""The key of its clients: it does not start without one."""

_CONFIGURATION = f"""\
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "%s", api_key: none}}
general_settings: {{master_key: {KEY}}}
"""


class LiteLLMMissing(Exception):
    """It could not be installed; the message says why."""


@cache
def litellm_program(*, install: bool) -> str:
    """The path of its command; it is installed where it is not. Raises `LiteLLMMissing`."""
    program = _CACHE / "bin" / "litellm"
    if not program.exists() and not install:
        raise LiteLLMMissing("it is not installed")
    if not program.exists():
        venv.create(_CACHE, with_pip=True, clear=True)
        command = [str(_CACHE / "bin" / "python"), "-m", "pip", "install", "--quiet", _RELEASE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["without a word"])[-1]
            raise LiteLLMMissing(f"pip cannot install {_RELEASE}: {reason}")
    return str(program)


def litellm_command(folder: Path, model_url: str, *, install: bool) -> list[str]:
    """What serves it at `{port}` before a model server; its configuration is written to a folder."""
    file = folder / "litellm.yaml"
    file.write_text(_CONFIGURATION % model_url)
    return [litellm_program(install=install), "--config", str(file), "--host", "127.0.0.1", "--port", "{port}"]


ENVIRON = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""It asks nobody for the prices of models."""
