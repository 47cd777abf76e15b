"""Reads JSON so that every parser behind us, and Postgres, sees the same value: what they disagree on is refused at the door."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Final, NoReturn

import orjson

from shared.errors import Malformed

# pydantic stops at about 200 levels and Python's own parser by recursion; no business document comes near this.
MAX_DEPTH: Final = 64
_INT64: Final = range(-(2**63), 2**63)
_LONGEST_INT64: Final = 20

# Possessive, and the closing quote is optional: linear on every input.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """The JSON value in ``raw``: dict, list, str, int (64 bits), finite float, bool or None.

    Raises:
        Malformed: not UTF-8, not JSON, NUL, half a surrogate pair, NaN or infinity, an integer beyond 64 bits, a key twice in one object,
            or deeper than ``max_depth``. The message says what to fix and never repeats a value.
    """
    _refuse_deep(raw, max_depth)
    if _NUL.search(raw):
        raise Malformed("A string contains the character NUL (\\u0000); remove it.")
    value = _parse(_text(raw))
    if _SURROGATE.search(raw):
        _refuse_half_surrogates(value)
    return value


def _text(raw: bytes) -> str:
    # `from None` here and below: these exceptions hold the whole body.
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8 (at byte {error.start}); send it as UTF-8.") from None


def _parse(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg}, line {error.lineno} column {error.colno}.") from None
    except RecursionError:
        raise Malformed("The body is nested too deep; flatten it.") from None


def _refuse_deep(raw: bytes, max_depth: int) -> None:
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    brackets = _STRING.sub(b"", raw).translate(None, delete=_NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > max_depth:
        raise Malformed(f"The body is nested deeper than {max_depth} levels; flatten it.")


def _refuse_half_surrogates(value: object) -> None:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise Malformed("A string contains half of a surrogate pair (\\ud800 to \\udfff); send whole characters.") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("An object has the same key twice; keep one.")
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Malformed("A number is too large for a double; send it as a string.")
    return value


def _int(text: str) -> int:
    if len(text) > _LONGEST_INT64 or (value := int(text)) not in _INT64:
        raise Malformed("An integer needs more than 64 bits; send it as a string.")
    return value


def _constant(_text: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON; leave the member out or send null.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant)
