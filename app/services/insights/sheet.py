"""Figures as CSV (RFC 4180): a row a day and metric, and a row a part of it. No cell is one that is computed."""

import csv
import io
from collections.abc import Iterable

from app.db import Doc
from app.models.base import rfc3339
from app.services.numbers.sheet import harmless

PLACE = ("of", "connection_id", "account", "provider_id", "media_id", "product", "permalink", "posted_at")
"""What a figure is of. `provider_id` is the account's, or the media's."""
COLUMNS = (
    *PLACE,
    *("day", "metric", "dimension", "part", "value", "status", "reason", "as_of", "source", "api_version"),
)


def sheet(rows: Iterable[tuple[Doc, str, str, Doc]]) -> str:
    """The rows: what they are of (of `PLACE`, what there is of it), the day, the metric, the figure.

    A figure that is not there is an empty cell, with its reason beside it.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for of, day, metric, told in rows:
        place = [harmless(str(of.get(name) or "")) for name in PLACE]
        as_of = rfc3339(told["as_of"]) if told["as_of"] else ""
        origin = [told["status"], told["reason"] or "", as_of, told["source"] or "", told["api_version"] or ""]
        value = "" if told["value"] is None else told["value"]
        writer.writerow([*place, day, metric, "", "", value, *origin])
        for part in told["parts"]:
            named = [harmless(part["dimension"]), harmless(part["value"])]
            writer.writerow([*place, day, metric, *named, part["figure"], *origin])
    return text.getvalue()
