"""Erasing a fan in one label, by a worker. It may be begun again at any point.

First a tombstone, so that nothing of them comes back; then what there is; then it is looked for again when whatever
was under way has ended. Other labels' data of the same fan are theirs.
"""

from collections import Counter
from datetime import datetime, timedelta

from app.clients.objects import ObjectsError
from app.db import Database, Doc, Session
from app.errors import NotFound
from app.models.base import rfc3339
from app.models.data_map import DATA_MAP
from app.services import faults
from app.services.audit import SYSTEM
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.inbox.deleted_fans import Eraser
from app.services.operations import WAITING, GiveUp, TryAgain
from app.services.privacy import fan_finding, fan_tombstones, requests
from app.services.privacy.erasing import AGAIN, MARGIN, MOST_ROUNDS, STORAGE_AWAY

KEPT = {
    "erased_fans": "a keyed hash, by which nothing of before comes back: 36 days",
    "moderation_actions": "what was done to comments: ids and codes, and not of whom they were: 90 days",
    "audit_log": "that it was done, by codes and numbers alone: 12 months",
    "privacy_requests": "that the request was met, without the fan: 3 years",
    "exports": "copies of the label's data that its people have had made before: 7 days at most",
}
AN_ENTRY = 100
"""So many hashes are an entry of the journal: a fan may have written a thousand comments."""


async def erase_fan(hands: Hands, operation: Doc) -> Doc:
    """Erase what the label has of a fan. Raises `TryAgain` until it has been looked for again, `GiveUp` when the
    label has been deleted, and all of its fans with it."""
    db = hands.db
    try:
        request = await requests.need(db, operation["target"])
    except NotFound:
        raise GiveUp("label_deleted", "The label was deleted, and the request with it.") from None
    if request["state"] in requests.CLOSED:
        return {"request_id": request["_id"]}
    await _begin(db, request, now=hands.clock())
    if "erased_at" not in request:
        request, now = await fan_finding.note(db, request), hands.clock()
        await _bury(hands, request, now=now)
        counts = await _erase(hands, request, until=None)
        await faults.reach("fan_after_erase")
        await _note(db, request, erased_at=now, counts=dict(counts))
    request = await requests.need(db, request["_id"])
    ended_at = request["erased_at"] + timedelta(seconds=hands.settings.lease_s) + MARGIN
    if hands.clock() < ended_at:
        raise TryAgain(ended_at, WAITING)
    for _ in range(MOST_ROUNDS):
        if not await _erase(hands, request, until=request["erased_at"]):
            await faults.reach("fan_before_end")
            await _complete(hands, request)
            return {"request_id": request["_id"]}
    raise TryAgain(hands.clock() + AGAIN, "new_data_come_in")


async def _begin(db: Database, request: Doc, *, now: datetime) -> None:
    async def begun(session: Session) -> None:
        await requests.set_state(db, request["_id"], "in_progress", now=now, session=session)

    if request["state"] == "received":
        await db.in_transaction(begun)


def _marks(request: Doc) -> list[str]:
    """By what the fan's things are known again."""
    marks = [*request["fan"]["provider_ids"], *map(fan_tombstones.by_handle, request.get("names", []))]
    return marks + [fan_tombstones.below(one["provider_id"]) for one in request.get("threads", [])]


async def _bury(hands: Hands, request: Doc, *, now: datetime) -> None:
    """Remember by hashes who is erased, here and outside: Meta shows again what it has, also after an older backup was
    restored. Raises `TryAgain`."""
    label_id, key = request["label_id"], fan_tombstones.key_of(hands.settings)
    hashes = [fan_tombstones.hash_of(key, label_id, mark) for mark in _marks(request)]
    try:
        for first in range(0, len(hashes), AN_ENTRY):
            some = " ".join(hashes[first : first + AN_ENTRY])
            await hands.journal.write("fan_erased", label_id, what=some, now=now)
    except ObjectsError as trouble:
        raise TryAgain(now + STORAGE_AWAY, "storage_unavailable") from trouble
    await fan_tombstones.note(hands.db, label_id, hashes, at=now)


async def _erase(hands: Hands, request: Doc, *, until: datetime | None) -> Counter[str]:
    """Tell whoever follows the label's stream what is going, and then erase it; how much it was.

    With `until`, what the fan has written since then stays: it is a new conversation.
    """
    db, label_id, now = hands.db, request["label_id"], hands.clock()
    going = await fan_finding.going(db, request, until=until)
    key = request["_id"]
    told = [Event(label_id, f"{key}:{one}", "conversation.erased", one, now) for one in going.conversations]
    told += [Event(label_id, f"{one}:comment.deleted", "comment.deleted", one, now) for one in going.comments]
    await append(db, told)
    await faults.reach("fan_before_erase")
    eraser, fans = Eraser(db, hands.audit, True, now, action="fan.erased"), request["fan"]["provider_ids"]
    what = {"conversations": going.conversations, "comments": going.comments}
    return +(await eraser.erase_in(label_id, fans, **what)).counts


async def _note(db: Database, request: Doc, **fields: object) -> None:
    query = {"_id": request["_id"], "label_id": request["label_id"], "erased_at": None}
    await db.open("privacy_requests").update_one(query, {"$set": fields})


async def _complete(hands: Hands, request: Doc) -> None:
    db, now = hands.db, hands.clock()
    receipt = receipt_of(request, now=now)

    async def all_of_it(session: Session) -> None:
        if await requests.set_state(db, request["_id"], "done", now=now, session=session, receipt=receipt):
            await requests.forget(db, request["_id"], "fan", "counts", *fan_finding.NOTED, session=session)
            told = {"label_id": request["label_id"], "target": request["_id"]}
            await hands.audit.record(SYSTEM, "fan_erasure.done", **told, now=now, session=session)

    await db.in_transaction(all_of_it)


def receipt_of(request: Doc, *, now: datetime) -> Doc:
    """What went and what stays. It names no fan."""
    counts: dict[str, int] = request["counts"]
    return {
        "request_id": request["_id"],
        "kind": request["kind"],
        "received_at": rfc3339(request["received_at"]),
        "completed_at": rfc3339(now),
        "verified_at": rfc3339(now),
        "erased": [
            {"what": what, "purpose": DATA_MAP[what].purpose, "action": "deleted", "documents": number}
            for what, number in sorted(counts.items())
        ],
        "kept": [{"what": what, "why": why} for what, why in KEPT.items()],
        "told": ["whoever follows the label's stream: conversation.erased, comment.deleted"] if counts else [],
    }
