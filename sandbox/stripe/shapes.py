"""Form bodies as Stripe reads them, checked and typed by the SDK's own parameter types.

Unknown and removed parameters, missing ones, wrong types and unknown values are refused as Stripe does.
"""

import re
import sys
import types
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints
from typing import NotRequired as ExtNotRequired

from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

from sandbox.stripe.errors import Refused, bad

PART = re.compile(r"\[([^\]]*)\]")
Form = Sequence[tuple[str, str]]


def nested(pairs: Form) -> dict[str, Any]:
    """`items[0][price]=p` as `{"items": {"0": {"price": "p"}}}`; lists are told apart by their type later."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        head, _, _ = name.partition("[")
        parts = [head, *PART.findall(name[len(head) :])]
        level = found
        for at, part in enumerate(parts):
            key = part if part else str(len(level))
            if at == len(parts) - 1:
                level[key] = value
                break
            below = level.setdefault(key, {})
            if not isinstance(below, dict):
                bad(f"Invalid {name}", name)
            level = below
    return found


def read(pairs: Form, shape: type | None) -> dict[str, Any]:
    """The parameters of a call, typed. Raises `Refused` as Stripe would answer."""
    raw = nested(pairs)
    if shape is None:
        if raw:
            unknown(next(iter(raw)))
        return {}
    checked: dict[str, Any] = _object(raw, shape, "")
    return checked


def unknown(name: str) -> None:
    """A parameter that this version does not have."""
    bad(f"Received unknown parameter: {name}", name, "parameter_unknown")


@cache
def fields_of(shape: type) -> dict[str, tuple[Any, bool]]:
    """By parameter: its type, and whether it is needed."""
    known = (vars(sys.modules[one.__module__]) for one in (RequestOptions, shape))
    names = {"StripeContext": object} | next(known) | next(known)
    hints = get_type_hints(shape, names, include_extras=True)
    options = RequestOptions.__annotations__ if "idempotency_key" in hints else {}
    found = {}
    for name, hint in hints.items():
        if name not in options:
            optional = get_origin(hint) in (NotRequired, ExtNotRequired)
            inner = get_args(hint)[0] if optional or get_origin(hint) is Required else hint
            found[name] = (inner, not optional)
    return found


def _object(raw: Any, shape: type, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        bad("Invalid object", path)
    fields = fields_of(shape)
    found = {}
    for name, value in raw.items():
        full = f"{path}[{name}]" if path else name
        if name not in fields:
            unknown(full)
        found[name] = typed(value, fields[name][0], full)
    for name, (_, needed) in fields.items():
        if needed and name not in found:
            full = f"{path}[{name}]" if path else name
            bad(f"Missing required param: {full}.", full, "parameter_missing")
    return found


def typed(value: Any, hint: Any, path: str) -> Any:
    """A form value as its type."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(value, get_args(hint), path)
    if origin is Literal:
        return _choice(value, get_args(hint), path)
    if origin is list:
        if value == "":
            return []
        items = value.values() if isinstance(value, dict) else bad("Invalid array", path)
        return [typed(item, get_args(hint)[0], f"{path}[{n}]") for n, item in enumerate(items)]
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            bad("Invalid object", path)
        return {name: typed(one, get_args(hint)[1], f"{path}[{name}]") for name, one in value.items()}
    if is_typeddict(hint):
        return _object(value, hint, path)
    return _plain(value, hint, path)


def _plain(value: Any, hint: Any, path: str) -> Any:
    if not isinstance(value, str):
        bad("Invalid string", path)
    if hint is int:
        if not re.fullmatch(r"-?\d{1,18}", value):
            bad(f"Invalid integer: {value}", path, "parameter_invalid_integer")
        return int(value)
    if hint is bool:
        if value not in ("true", "false"):
            bad(f"Invalid boolean: {value}", path)
        return value == "true"
    if hint in (float, Decimal):
        try:
            return str(Decimal(value))
        except InvalidOperation:
            bad(f"Invalid decimal: {value}", path, "parameter_invalid_decimal")
    if hint is not str and hint is not Any:
        bad("Invalid object", path)
    return value


def _choice(value: Any, allowed: tuple[Any, ...], path: str) -> Any:
    if value not in allowed:
        bad(f"Invalid {path}: must be one of {', '.join(str(one) for one in allowed)}", path)
    return value


def _one_of(value: Any, hints: tuple[Any, ...], path: str) -> Any:
    """The first type that fits. The SDK lets every choice be any `str` too, for values to come: Stripe does not."""
    choices = [one for hint in hints if get_origin(hint) is Literal for one in get_args(hint)]
    if isinstance(value, str) and value in choices:
        return value
    others = [hint for hint in hints if get_origin(hint) is not Literal]
    if any(one != "" for one in choices):
        others = [hint for hint in others if hint is not str]
        if not others:
            return _choice(value, tuple(choices), path)
    refused: Refused | None = None
    for hint in others:
        try:
            return typed(value, hint, path)
        except Refused as exc:
            refused = exc
    raise refused or Refused(f"Invalid {path}", param=path)
