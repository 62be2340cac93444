"""`python examples/replay.py`: a stream of llama.cpp's server, behind a HestiaOS platform, as it was recorded."""

from __future__ import annotations

from pathlib import Path

from hestiaos import Cassette, Client

CASSETTE = Path(__file__).parent / "cassettes" / "llama_cpp.jsonl"


def main() -> None:
    """Print the text at the recorded pace."""
    with Client(cassette=Cassette(CASSETTE, pace=1.0)) as client:
        for event in client.run_stream("Write a haiku about a hearth."):
            if event.type == "token":
                print(event.data["text"], end="", flush=True)
    print()


if __name__ == "__main__":
    main()
