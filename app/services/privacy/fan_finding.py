"""What one label has of a fan who is to be erased: by the provider's ids, and by the handle where the id is withheld.

Before anything goes it is noted with the request what a fan's things are known by: whoever was under way may write of
them once more, under a conversation or a comment that is not there any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db import Database, Doc
from app.models.data_map import CONTENT_LIFE
from app.services.privacy import requests
from app.services.privacy.fan_requests import HANDLE, WHERE

NOTED = ("names", "talks", "threads")
"""What `note` adds to a request, beside the ids of its fan."""


@dataclass(frozen=True)
class Going:
    """The ids of the documents that go, of both kinds."""

    conversations: list[str]
    comments: list[str]


async def note(db: Database, request: Doc) -> Doc:
    """Note with the request what the fan's things are known by; the request.

    `fan.provider_ids`; `names`, the handles that were seen with these; `talks`, the ids of their conversations;
    `threads`, their comments as `{connection_id, provider_id}`. Done again, it is added to.
    """
    label_id, fan = request["label_id"], request["fan"]
    ids, names = set(fan["provider_ids"]), {fan["handle"]} - {None}
    if fan["handle"]:
        for name, path in WHERE:
            by_handle = {"label_id": label_id, f"{path}.username": fan["handle"]}
            ids |= {row[path]["provider_id"] async for row in db.open(name).find(by_handle, {path: 1})}
    ids -= {None}
    for name, path in WHERE:
        by_id = {"label_id": label_id, f"{path}.provider_id": {"$in": sorted(ids)}}
        names |= {row[path]["username"] async for row in db.open(name).find(by_id, {path: 1})}
    names = {name for name in names if name and HANDLE.fullmatch(name)}
    known = request | {"fan": fan | {"provider_ids": sorted(ids)}, "names": sorted(names)}
    talks = await _ids(db, "conversations", label_id, _who(known, "participant"))
    fields = {"_id": 0, "connection_id": 1, "provider_id": 1}
    mine = {"label_id": label_id, "$or": _who(known, "author")}
    threads = await db.open("comments").find(mine, fields).to_list()
    added = {"names": known["names"], "talks": talks, "threads": threads}
    key = {"_id": request["_id"], "label_id": label_id}
    update: Doc = {"$set": {"fan": known["fan"]}}
    update["$addToSet"] = {name: {"$each": values} for name, values in added.items()}
    await db.open("privacy_requests").update_one(key, update)
    return await requests.need(db, request["_id"])


async def going(db: Database, request: Doc, *, until: datetime | None) -> Going:
    """What there is of the fan whom `note` has noted; of what they have written since `until`, nothing."""
    label_id = request["label_id"]
    talks = await _ids(db, "conversations", label_id, _who(request, "participant"))
    if until:
        talks = [one for one in talks if await _is_older(db, label_id, one, until)]
    older: Doc = {"sent_at": {"$not": {"$gt": until}}} if until else {}
    comments = await _ids(db, "comments", label_id, _who(request, "author"), **older)
    answers = [
        {"connection_id": one["connection_id"], "parent_provider_id": one["provider_id"], "own": True}
        for one in request.get("threads", [])
    ]
    if answers:
        comments += await _ids(db, "comments", label_id, answers, **older)
    return Going(list(dict.fromkeys([*request.get("talks", []), *talks])), list(dict.fromkeys(comments)))


def _who(request: Doc, path: str) -> list[Doc]:
    """Each of these means the fan: one of their ids; the handle that was asked for; another handle of theirs, alone."""
    fan = request["fan"]
    found: list[Doc] = [{f"{path}.provider_id": {"$in": fan["provider_ids"]}}]
    found += [{f"{path}.username": fan["handle"]}] if fan["handle"] else []
    return [*found, {f"{path}.provider_id": None, f"{path}.username": {"$in": request.get("names", [])}}]


async def _ids(db: Database, name: str, label_id: str, either: list[Doc], **more: Any) -> list[str]:
    query: Doc = {"label_id": label_id, "$or": either} | more
    return [row["_id"] async for row in db.open(name).find(query, {"_id": 1})]


async def _is_older(db: Database, label_id: str, conversation_id: str, until: datetime) -> bool:
    """Whether anything in the conversation was written by then, or all that made it was."""
    early = {"label_id": label_id, "conversation_id": conversation_id, "ordered_at": {"$lte": until}}
    if await db.open("messages").find_one(early, {"_id": 1}):
        return True
    made = {"label_id": label_id, "_id": conversation_id, "expires_at": {"$lte": until + CONTENT_LIFE}}
    return await db.open("conversations").find_one(made, {"_id": 1}) is not None
