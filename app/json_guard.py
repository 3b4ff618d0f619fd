"""Which JSON we take: bounded depth and size, no duplicate names, only numbers and text that can be stored."""

import json
import math
from typing import Any

from app.errors import InvalidJson

DEPTH, NAMES = 32, 10_000
_INT64 = 2**63


def check_json(body: bytes) -> None:
    """Raise `InvalidJson` unless the body is JSON that every part of the house can take."""
    if body.count(b",") > NAMES:  # at the speed of C: to walk a body of a million brackets takes a third of a second
        raise InvalidJson
    names = 0

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal names
        names += len(found)
        value = dict(found)
        if len(value) < len(found) or names > NAMES:
            raise ValueError("duplicate or too many names")
        return value

    try:
        value = json.loads(
            body.decode(), object_pairs_hook=pairs, parse_int=_integer, parse_float=_finite, parse_constant=_refuse
        )
        _check_values(value)
    except (ValueError, RecursionError) as exc:
        raise InvalidJson from exc


def _check_values(value: Any, depth: int = 0) -> None:
    if depth > DEPTH:
        raise ValueError("too deep")
    if isinstance(value, str):
        value.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
        if "\0" in value:
            raise ValueError("NUL")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_values(name, depth + 1)
            _check_values(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, depth + 1)


def _integer(text: str) -> int:
    value = int(text) if len(text) < 21 else _INT64
    if not -_INT64 <= value < _INT64:
        raise ValueError("out of range")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _refuse(text: str) -> float:
    raise ValueError(text)
