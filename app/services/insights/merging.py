"""A figure as it is kept, and which of two stays: what is known beats what is not, and then the later reading.

The choice is the larger of two texts (`order`), so that any order of writing, and any repetition, ends the same.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from app.clients.graph_insights import Figure, Lack
from app.db import Doc
from app.models.base import rfc3339

Status = Literal["ok", "partial", "unavailable"]
RANK: dict[Status, int] = {"unavailable": 0, "partial": 1, "ok": 2}
STILL_MOVES = "may_still_change"
"""Meta's figures of a day may come 48 hours late."""


def known(figure: Figure, *, as_of: datetime, source: str, api_version: str, settled: bool) -> Doc:
    """A figure that Meta has told. It is `partial` while it may still change."""
    status: Status = "ok" if settled else "partial"
    parts = [asdict(part) for part in figure.parts]
    told: Doc = {"value": figure.value, "parts": parts, "as_of": as_of, "source": source, "api_version": api_version}
    return _ordered(told | {"status": status, "reason": None if settled else STILL_MOVES})


def lacking(lack: Lack, *, as_of: datetime, source: str, api_version: str) -> Doc:
    """That there is none, and why: it is never a zero."""
    told: Doc = {"value": None, "parts": [], "as_of": as_of, "source": source, "api_version": api_version}
    return _ordered(told | {"status": "unavailable", "reason": lack})


def _ordered(told: Doc) -> Doc:
    content = json.dumps(told | {"as_of": None}, sort_keys=True).encode()
    at = told["as_of"].strftime("%Y%m%d%H%M%S%f")
    return told | {"order": f"{RANK[told['status']]}.{at}.{hashlib.sha256(content).hexdigest()[:16]}"}


def later(one: Doc, other: Doc) -> Doc:
    """The one of two readings of the same figure that stays."""
    return one if one["order"] >= other["order"] else other


def merged(one: Mapping[str, Doc], other: Mapping[str, Doc]) -> dict[str, Doc]:
    """Two readings of the same day, or of the same media."""
    both = {name: later(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}


def merging(field: str, readings: Mapping[str, Doc]) -> dict[str, Any]:
    """The same as `merged`, for the database: what to `$set` in an update by a pipeline."""
    return {
        f"{field}.{name}": {
            "$cond": [
                {"$gt": [told["order"], {"$ifNull": [f"${field}.{name}.order", ""]}]},
                {"$literal": told},
                f"${field}.{name}",
            ]
        }
        for name, told in readings.items()
    }


def shown(told: Doc) -> Doc:
    """The figure without what is only kept to choose by."""
    return {name: value for name, value in told.items() if name != "order"} | {"as_of": rfc3339(told["as_of"])}
