"""Find and replace the texts that a model reads, wherever they are in the JSON of a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hestiaos_local.execution._work import Work, message_text
from hestiaos_proto import json

__all__ = ["further_texts", "with_texts"]

# Names of fields and types of values in OpenAI's API and in JSON Schema.
_FIELDS = """
    anyOf arguments audio_url content data description enum file file_data function functions id image_url index
    input_audio items name parameters properties reasoning_content refusal required role schema strict text tool_call_id
    tool_calls type url video_url
"""
_KINDS = """
    array assistant boolean developer file function image_url input_audio integer json_object json_schema null number
    object refusal string system text tool user
"""
_KEYS = frozenset(_FIELDS.split())
_VALUES = {"role": frozenset(_KINDS.split()), "type": frozenset(_KINDS.split())}

# The fields of a part with the data of an image, sound or file, as a data URL (RFC 2397) or in base64.
_BINARY = frozenset(
    {
        ("image_url", "url"),
        ("audio_url", "url"),
        ("video_url", "url"),
        ("input_audio", "data"),
        ("file", "file_data"),
    }
)
_BASE64 = re.compile(r"(?:data:[\w.+-]+/[\w.+-]+;base64,)?[A-Za-z0-9+/]+={0,2}")


def further_texts(work: Work) -> tuple[str, ...]:
    """Return the texts that a model may read besides those of `message_text`, without duplicates.

    They are in the other fields and parts of the messages, the definitions of tools, and the options. Images, sounds
    and files are omitted.
    """
    texts: dict[str, None] = {}

    def note(text: str) -> str:
        if text:
            texts[text] = None
        return text

    for message in work.messages:
        for name, value in message.items():
            if name == "content":
                _note_parts(value, note)
            else:
                with_texts(value, note, (name,))
    for value in (*work.tools, *work.options.values()):
        with_texts(value, note)
    for text in map(message_text, work.messages):
        texts.pop(text, None)
    return tuple(texts)


def _note_parts(content: Any, note: Callable[[str], str]) -> None:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            part = {name: value for name, value in part.items() if name != "text"}
        with_texts(part, note)


def with_texts(value: Any, change: Callable[[str], str], place: tuple[str, ...] = ()) -> Any:
    """Replace each text in a JSON value, including keys, by `change`. `place` is the path of keys to the value.

    The API's own names of fields and types are not changed, nor are images, sounds and files.
    """
    match value:
        case str():
            return value if _is_silent(value, place) else change(_with_arguments(value, change, place))
        case Mapping():
            return {
                key if key in _KEYS else change(key): with_texts(each, change, (*place, key))
                for key, each in value.items()
            }
        case list() | tuple():
            return [with_texts(each, change, place) for each in value]
        case _:
            return value


def _is_silent(text: str, place: tuple[str, ...]) -> bool:
    """Return whether the text at this place cannot be chosen freely by a caller, or is not read by the model."""
    if place[-2:] in _BINARY:
        return _BASE64.fullmatch(text) is not None
    return text in _VALUES.get("".join(place[-1:]), ())


def _with_arguments(text: str, change: Callable[[str], str], place: tuple[str, ...]) -> str:
    """Apply `change` also to the JSON in the arguments of a call, whose escapes may hide text."""
    if place[-1:] != ("arguments",) or "\\" not in text:
        return text
    try:
        value = json.loads(text.encode())
    except ValueError:
        return text
    changed = with_texts(value, change)
    return text if changed == value else json.dumps(changed).decode()
