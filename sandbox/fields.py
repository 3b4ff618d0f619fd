"""The `fields=` language of the Graph API, its times, and its pages."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sandbox.errors import bad_parameter

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[.,(){}])")


@dataclass(frozen=True)
class Field:
    """One asked-for field, as `comments.limit(10){id,text}`."""

    name: str
    limit: int | None = None
    inner: tuple["Field", ...] = ()


Node = Mapping[str, Any]
"""What an object could show. A value that can be called is an edge: it is called with its `Field`."""


def parse_fields(text: str) -> tuple[Field, ...]:
    """Read a `fields` value. Raises code 100 for one that cannot be read."""
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise bad_parameter(f"Syntax error in fields at character {position + 1}")
        tokens.append(match[1])
        position = match.end()
    parsed = _read_list(tokens)
    if tokens:
        raise bad_parameter(f"Syntax error in fields: unexpected {tokens[0]!r}")
    return parsed


def project(node: Node, wanted: Sequence[Field], node_type: str) -> dict[str, Any]:
    """The asked-for part of an object, always with its `id`. Raises code 100 for a field it does not have."""
    shown = {"id": node["id"]}
    for field in wanted:
        if field.name not in node:
            raise bad_parameter(f"Tried accessing nonexisting field ({field.name}) on node type ({node_type})")
        value = node[field.name]
        if callable(value):
            value = value(field)
        elif isinstance(value, dict) and field.inner and "id" in value:
            value = project(value, field.inner, field.name)
        if value is not None:
            shown[field.name] = value
    return shown


def time_text(ms: int) -> str:
    """Meta's time format: whole seconds, no colon in the offset."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def page(items: Sequence[str], params: Mapping[str, Any], url: str, most: int) -> tuple[list[str], dict[str, Any]]:
    """One page of ids and its `paging`, whose addresses embed the access token as the real ones do.

    `params` are the caller's; of them `limit`, `after` and `before` are read here.
    """
    limit = page_limit(params.get("limit"), most)
    start = 0
    if params.get("after"):
        start = _place(items, str(params["after"])) + 1
    elif params.get("before"):
        start = max(0, _place(items, str(params["before"])) - limit)
    shown = list(items[start : start + limit])
    if not shown:
        return [], {}
    cursors = {"before": _cursor(shown[0]), "after": _cursor(shown[-1])}
    kept = {key: value for key, value in params.items() if key not in ("after", "before")}
    paging: dict[str, Any] = {"cursors": cursors}
    if start + limit < len(items):
        paging["next"] = f"{url}?{urlencode(kept | {'after': cursors['after']})}"
    if start > 0:
        paging["previous"] = f"{url}?{urlencode(kept | {'before': cursors['before']})}"
    return shown, paging


def page_limit(asked: Any, most: int) -> int:
    """How many to show: at most what the edge allows, however many are asked for."""
    if asked in (None, ""):
        return min(25, most)
    if not str(asked).isdecimal() or int(str(asked)) < 1:
        raise bad_parameter("limit must be a positive number")
    return min(int(str(asked)), most)


def _read_list(tokens: list[str]) -> tuple[Field, ...]:
    found = []
    while tokens and tokens[0] not in ("}", ")"):
        found.append(_read_field(tokens))
        if tokens and tokens[0] == ",":
            tokens.pop(0)
    return tuple(found)


def _read_field(tokens: list[str]) -> Field:
    name = tokens.pop(0)
    limit: int | None = None
    inner: tuple[Field, ...] = ()
    while tokens[:1] == ["."]:
        modifier, argument = tokens[1:2], tokens[3:4]
        if modifier == ["limit"] and tokens[2:3] == ["("] and tokens[4:5] == [")"] and argument[0].isdecimal():
            limit = int(argument[0])
        else:
            raise bad_parameter(f"Syntax error in fields: unknown modifier after {name!r}")
        del tokens[:5]
    if tokens[:1] == ["{"]:
        tokens.pop(0)
        inner = _read_list(tokens)
        if tokens[:1] != ["}"]:
            raise bad_parameter("Syntax error in fields: a } is missing")
        tokens.pop(0)
    return Field(name, limit, inner)


def _cursor(item: str) -> str:
    return urlsafe_b64encode(item.encode()).decode()


def _place(items: Sequence[str], cursor: str) -> int:
    try:
        return items.index(urlsafe_b64decode(cursor.encode()).decode())
    except (ValueError, Base64Error):
        raise bad_parameter("Invalid cursor") from None
