"""Keeps the API key and secrets out of what is quoted from the other side, which may repeat them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hestiaos_proto import json

__all__ = ["Redactor"]

_QUOTED = 80  # how much of something wrong is quoted, in characters


class Redactor:
    """Puts `***` in the place of each secret."""

    def __init__(self, *secrets: str | None) -> None:
        self._plain = {secret for secret in secrets if secret}
        self._spelled: list[str] | None = None

    @property
    def _secrets(self) -> list[str]:
        # Not a cached_property: Ctrl-C can leave its lock taken, for all instances (python/cpython#87634, until 3.12).
        if self._spelled is None:
            spelled = {each for secret in self._plain for each in _spellings(secret)}
            self._spelled = sorted(spelled, key=len, reverse=True)  # one may be the beginning of another
        return self._spelled

    def text(self, text: str) -> str:
        """`text`, masked."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def data(self, data: bytes) -> bytes:
        """`data`, masked."""
        for secret in self._secrets:
            data = data.replace(secret.encode(), b"***")
        return data

    def value(self, value: Any) -> Any:
        """A JSON value with every string in it masked, the names too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def error(self, error: BaseException) -> str:
        """What another library's exception says, masked; in the exception too, since a traceback shows it."""
        said = str(error)
        masked = self.text(said)
        if masked != said:
            error.args = (masked,)
        return masked

    def quote(self, data: bytes | bytearray | str) -> str:
        """The beginning of `data` as an error quotes it."""
        # All of it is masked before it is cut: a secret that the cut goes through would not be seen whole.
        text = self.text(data if isinstance(data, str) else data.decode("utf-8", "replace").strip())
        return repr(text[:_QUOTED]) + ("…" if len(text) > _QUOTED else "")


def _spellings(secret: str) -> set[str]:
    """As it is, in a URL, in a JSON string, and as Python's `repr` of bytes, in which h11 quotes what is no header."""
    quoted = repr(bytearray(secret.encode()))[len("bytearray(b'") : -len("')")]
    return {secret, quote(secret, safe=""), quoted, quoted.replace("\\'", "'")} | json.spellings(secret)
