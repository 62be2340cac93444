"""llama.cpp's own server with one model (PyPI: xllamacpp): `llama_server.py GGUF [KEY [GRAMMAR]]` prints its URL, and
serves. An empty key is none.

It ends with its standard input, so that it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys

__all__: list[str] = []


def main(path: str, key: str = "", grammar: str = "") -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 4
    params.n_ctx = 4 * 16384  # shared by the slots
    params.n_threads_http = 32  # one for each connection: with too few, streams wait
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    params.endpoint_metrics = True
    params.warmup = False
    params.api_keys = [key] if key else []
    said = params.sampling.grammar  # a copy
    said.grammar = grammar
    params.sampling.grammar = said
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # its destructor waits for generations that are under way


if __name__ == "__main__":
    main(*sys.argv[1:])
