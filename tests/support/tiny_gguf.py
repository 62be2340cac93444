"""A llama of random weights in the GGUF format (version 3), 0.6 MB, for a real model server to load.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md says how such a file is laid out. The vocabulary is the 256
bytes, some words and the marks of its chat template, so that it reads any text and what it says is arbitrary.
"""

from __future__ import annotations

import random
import struct
from array import array
from pathlib import Path

from attrs import frozen

__all__ = ["write_tiny_model"]

_VERSION, _ALIGNMENT = 3, 32
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # kinds of tokens

_WIDTH, _HEADS, _LAYERS, _FORWARD, _CONTEXT = 64, 4, 2, 128, 4096
_MARKS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
_WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "and", "you", "hello", "world", "it", "is", "of", "not", "yes"]
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@frozen
class _Tensor:
    name: str
    shape: tuple[int, ...]  # the innermost dimension first
    data: bytes


def write_tiny_model(path: Path, seed: int = 7) -> None:
    """Write the model. The same seed gives the same file."""
    tokens, kinds = _vocabulary()
    metadata = {
        "general.architecture": _string("llama"),
        "general.name": _string("tiny-random"),
        "general.file_type": _uint(0),
        "llama.context_length": _uint(_CONTEXT),
        "llama.embedding_length": _uint(_WIDTH),
        "llama.block_count": _uint(_LAYERS),
        "llama.feed_forward_length": _uint(_FORWARD),
        "llama.attention.head_count": _uint(_HEADS),
        "llama.attention.head_count_kv": _uint(_HEADS),
        "llama.attention.layer_norm_rms_epsilon": struct.pack("<If", _FLOAT32, 1e-5),
        "llama.rope.dimension_count": _uint(_WIDTH // _HEADS),
        "llama.vocab_size": _uint(len(tokens)),
        "tokenizer.ggml.model": _string("llama"),
        "tokenizer.ggml.pre": _string("default"),
        "tokenizer.ggml.tokens": _array(_STRING, [_text(token) for token in tokens]),
        "tokenizer.ggml.scores": _array(_FLOAT32, [struct.pack("<f", -float(i)) for i in range(len(tokens))]),
        "tokenizer.ggml.token_type": _array(_INT32, [struct.pack("<i", kind) for kind in kinds]),
        "tokenizer.ggml.unknown_token_id": _uint(0),
        "tokenizer.ggml.bos_token_id": _uint(1),
        "tokenizer.ggml.eos_token_id": _uint(_MARKS.index("<|im_end|>")),
        "tokenizer.ggml.add_bos_token": struct.pack("<I?", _BOOL, False),
        "tokenizer.ggml.add_space_prefix": struct.pack("<I?", _BOOL, False),
        "tokenizer.chat_template": _string(_TEMPLATE),
    }
    tensors = _tensors(random.Random(seed), len(tokens))
    file = bytearray(b"GGUF" + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)))
    for key, value in metadata.items():
        file += _text(key) + value
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        file += _text(tensor.name) + struct.pack("<I", len(tensor.shape)) + shape + struct.pack("<IQ", 0, offset)
        offset += len(_padded(tensor.data))
    file = bytearray(_padded(file))
    for tensor in tensors:
        file += _padded(tensor.data)
    path.write_bytes(file)


def _vocabulary() -> tuple[list[str], list[int]]:
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"\u2581{word}" for word in _WORDS]  # the sign that stands for a space
    tokens = [*_MARKS, *every_byte, *words]
    return tokens, [_UNKNOWN, *[_CONTROL] * 4, *[_BYTE] * 256, *[_NORMAL] * len(words)]


def _tensors(numbers: random.Random, tokens: int) -> list[_Tensor]:
    def weights(name: str, *shape: int, scale: float = 0.5) -> _Tensor:
        count = shape[0] * shape[1]
        spread = scale / shape[0] ** 0.5
        return _Tensor(name, shape, array("f", (numbers.gauss(0, spread) for _ in range(count))).tobytes())

    def ones(name: str) -> _Tensor:
        return _Tensor(name, (_WIDTH,), array("f", [1.0] * _WIDTH).tobytes())

    tensors = [weights("token_embd.weight", _WIDTH, tokens, scale=8.0), ones("output_norm.weight")]
    tensors.append(weights("output.weight", _WIDTH, tokens, scale=3.0))
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        tensors += [ones(f"{block}attn_norm.weight"), ones(f"{block}ffn_norm.weight")]
        tensors += [weights(f"{block}attn_{each}.weight", _WIDTH, _WIDTH) for each in ("q", "k", "v", "output")]
        tensors += [weights(f"{block}ffn_{each}.weight", _WIDTH, _FORWARD) for each in ("gate", "up")]
        tensors.append(weights(f"{block}ffn_down.weight", _FORWARD, _WIDTH))
    return tensors


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _string(text: str) -> bytes:
    return struct.pack("<I", _STRING) + _text(text)


def _uint(number: int) -> bytes:
    return struct.pack("<II", _UINT32, number)


def _array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IIQ", _ARRAY, kind, len(items)) + b"".join(items)


def _padded(data: bytes | bytearray) -> bytes:
    return bytes(data) + bytes(-len(data) % _ALIGNMENT)
