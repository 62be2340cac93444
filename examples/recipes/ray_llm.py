"""`python ray_llm.py INPUTS RESULTS [MODEL]`: the JSON lines of INPUTS through `ray.data.llm`.

Its HTTP processor asks the front door, as any server of OpenAI's API. Each line is an object with a `key` and a `text`;
RESULTS is a folder that all nodes see. `HESTIAOS_BASE_URL` is read where the program starts, `HESTIAOS_API_KEY` where
the requests are sent. It needs `ray[data]` and aiohttp, and no vLLM.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import aiohttp
import ray
from ray.data.llm import HttpRequestProcessorConfig, build_processor


def session() -> aiohttp.ClientSession:
    """Make the session of an actor: so the key is in no plan, as one in the configuration's `headers` would be."""
    key = os.environ.get("HESTIAOS_API_KEY")
    return aiohttp.ClientSession(headers={} if key is None else {"Authorization": f"Bearer {key}"})


def reply(row: dict[str, Any]) -> dict[str, Any]:
    """The result of a row; a block and other refusals have an `error` instead."""
    response = row["http_response"]
    choices, error = response.get("choices"), response.get("error")
    text = choices[0]["message"]["content"] if choices else None
    return {"key": row["key"], "result": text, "id": response.get("id"), "error": error and error["message"]}


def main(inputs: str, results: str, model: str = "hestia-local") -> None:
    """Run all of it."""
    config = HttpRequestProcessorConfig(
        url=f"{os.environ['HESTIAOS_BASE_URL']}/v1/chat/completions",
        session_factory=session,
        max_retries=3,
        batch_size=16,
        concurrency=2,
    )
    processor = build_processor(
        config,
        preprocess=lambda row: {
            "key": row["key"],
            "payload": {"model": model, "messages": [{"role": "user", "content": row["text"]}]},
        },
        postprocess=reply,
    )
    processor(ray.data.read_json(inputs, lines=True)).write_json(results)


if __name__ == "__main__":
    main(*sys.argv[1:])
