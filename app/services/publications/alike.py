"""The same words or pictures to the same account within a month: told as a warning, for it may be meant."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.db import Database, Doc

LATELY = timedelta(days=30)
SHORTEST = 20
"""Shorter texts are alike without meaning anything."""
COUNTS = ("scheduled", "publishing", "published", "partly_published", "unknown", "needs_decision")
MOST = 20


@dataclass(frozen=True)
class Alike:
    """Another publication that shows the same, to one account."""

    connection_id: str
    pointer: str
    publication_id: str


def keys_of(publication: Mapping[str, Any]) -> list[str] | None:
    """By what a publication is found to be like another; none where there is nothing to compare."""
    shown = [f"asset:{asset_id}" for asset_id in publication["assets"]]
    words = " ".join(unicodedata.normalize("NFKC", publication["caption"]).casefold().split())
    if len(words) >= SHORTEST:
        shown.append(f"words:{hashlib.sha256(words.encode()).hexdigest()[:32]}")
    return [f"{target}:{one}" for target in publication["targets"] for one in shown] or None


async def alike(db: Database, label_id: str, publication: Mapping[str, Any], *, at: datetime) -> list[Alike]:
    """What else shows the same to one of its accounts within a month of `at`, published or going to be."""
    mine = set(keys_of(publication) or ())
    if not mine:
        return []
    near = {"$gte": at - LATELY, "$lte": at + LATELY}
    query: Doc = {"label_id": label_id, "same": {"$in": sorted(mine)}, "scheduled_at": near}
    query |= {"state": {"$in": list(COUNTS)}, "_id": {"$ne": publication.get("_id")}}
    found = await db.open("publications").find(query).limit(MOST).to_list()
    return [
        Alike(connection_id, "/caption" if shown.startswith("words:") else "/assets", other["_id"])
        for other in found
        for connection_id, shown in sorted({_parts(key) for key in mine.intersection(other["same"])})
    ]


def _parts(key: str) -> tuple[str, str]:
    connection_id, _, shown = key.partition(":")
    return connection_id, shown
