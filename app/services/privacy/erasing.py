"""The erasure of a person whose time of grace is over, by a worker, step by step. It may be begun again at any point.

Everything is looked for once more when whatever was under way has ended: a job that wrote of the person meanwhile has
done so by then. A day later it is looked for a last time.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from app.clients.objects import ObjectsError
from app.db import Database, Doc, Session
from app.derived_keys import derive
from app.services import faults, operations
from app.services.audit import LIFE, SYSTEM
from app.services.connections.hands import Hands
from app.services.consents import suppression
from app.services.events import Event, append
from app.services.exports import ending as exports
from app.services.labels import members
from app.services.operations import WAITING, GiveUp, TryAgain
from app.services.privacy import receipts, requests, whose
from app.services.privacy.whose import Subject

Step = Literal["leave", "tell", "suppress", "files", "records", "verify"]
STORAGE_AWAY = timedelta(minutes=1)
MARGIN = timedelta(seconds=15)
AGAIN = timedelta(seconds=5)
LAST_LOOK = timedelta(hours=24)
MOST_ROUNDS = 50
"""So often what comes in late is erased again within one step."""


async def erase_person(hands: Hands, operation: Doc) -> Doc:
    """Erase a person. Raises `GiveUp` when they have kept the account, `TryAgain` until everything has ended."""
    db, now = hands.db, hands.clock()
    request = await requests.need(db, operation["target"])
    if request["state"] in requests.CLOSED:
        return {"request_id": request["_id"]}
    subject = await _shut(db, request, now=now)
    await _note_outside(hands, request)
    for step, work in STEPS.items():
        if step not in request.get("steps", {}):
            counts = await work(hands, request, subject)
            await _note(db, request, step, counts, now=hands.clock())
            await faults.reach("erase_after_step")
    request = await requests.need(db, request["_id"])
    await _verify(hands, request, subject)
    await faults.reach("erase_before_end")
    await _complete(hands, await requests.need(db, request["_id"]))
    await faults.reach("erase_after_end")
    return {"request_id": request["_id"]}


async def look_for_erased(hands: Hands, operation: Doc) -> Doc:
    """Look a last time for what somebody may have written of an erased person, and erase it."""
    request = await requests.need(hands.db, operation["target"])
    subject = Subject(request["user_id"], "", tuple(request.get("labels", [])), request["received_at"])
    found = await whose.erase(hands.db, subject)
    await requests.forget(hands.db, request["_id"], "labels")
    return {"documents": sum(found.values())}


async def _shut(db: Database, request: Doc, *, now: datetime) -> Subject:
    """From here on there is no way back; whose data it is, noted for when the account does not know it any more.

    As long as the account is there, what is known by its address is its person's: nobody else can have it. One that is
    gone already, by the journal of a restored backup, keeps nothing from being erased. Raises `GiveUp` when the person
    has kept the account, `TryAgain` when the clock has gone back.
    """

    async def all_of_it(session: Session) -> Subject:
        user = await db.open("users").find_one({"_id": request["user_id"]}, session=session)
        if user and request["state"] != "in_progress":
            _check_due(user, now)
        await requests.set_state(db, request["_id"], "in_progress", now=now, session=session)
        labels = tuple(request.get("labels", ()))
        if user is None:
            return Subject(request["user_id"], request.get("address_key", ""), labels, request.get("known_until", now))
        await db.open("users").update_one({"_id": user["_id"]}, {"$set": {"erasing": True}}, session=session)
        subject = await whose.subject_of(db, user, now=now, session=session)
        subject = replace(subject, labels=tuple(sorted({*subject.labels, *labels})))
        noted = {"address_key": subject.address_key, "labels": list(subject.labels), "known_until": now}
        mine = {"_id": request["_id"]}
        await db.open("privacy_requests").update_one(mine, {"$set": noted}, comment=requests.BY_ID, session=session)
        return subject

    return await db.in_transaction(all_of_it)


def _check_due(user: Doc, now: datetime) -> None:
    due_at = user.get("erasure_due_at")
    if due_at is None:
        raise GiveUp("cancelled", "The person has kept the account.")
    if due_at > now:
        raise TryAgain(due_at, WAITING)


async def _note_outside(hands: Hands, request: Doc) -> None:
    """Nobody is erased whom an older backup would bring back. Raises `TryAgain`."""
    try:
        await hands.journal.write("person_erased", request["user_id"], now=hands.clock())
    except ObjectsError as trouble:
        raise TryAgain(hands.clock() + STORAGE_AWAY, "storage_unavailable") from trouble


async def _leave(hands: Hands, request: Doc, subject: Subject) -> Counter[str]:
    """Leave every label, as somebody does who leaves: conversations are nobody's, invitations void, owners told."""
    db, counts = hands.db, Counter[str]()
    for label_id in subject.labels:

        async def one(session: Session, label_id: str = label_id) -> bool:
            membership = await members.membership_of(db, subject.user_id, label_id, session=session)
            if membership is None:
                return False
            await members.take_out(db, hands.audit, membership, by=SYSTEM, now=hands.clock(), session=session)
            return True

        counts["memberships"] += await db.in_transaction(one)
        await faults.reach("erase_during_leave")
    return counts


async def _tell(hands: Hands, request: Doc, subject: Subject) -> Counter[str]:
    """Tell the partners of labels that are there: they may have read of the person as a member (GDPR 19)."""
    key, now = f"erasure:{request['_id']}", hands.clock()
    there = hands.db.open("labels").find({"_id": {"$in": list(subject.labels)}}, {"_id": 1})
    told = [Event(one["_id"], key, "person.erased", subject.user_id, now) async for one in there]
    await append(hands.db, told)
    return Counter(events=len(told))


async def _suppress(hands: Hands, request: Doc, subject: Subject) -> Counter[str]:
    """Whoever imports the address again must not mail it: a keyed hash of it outlives the account."""
    if not subject.address_key:
        return Counter()
    key = derive(hands.settings, suppression.PURPOSE)
    await suppression.suppress(hands.db, key, subject.address_key, now=hands.clock())
    return Counter(addresses=1)


async def _files(hands: Hands, request: Doc, subject: Subject) -> Counter[str]:
    """Delete the files of their exports, and call off what is being made."""
    now = hands.clock()
    try:
        return Counter(exports=await exports.delete_of_person(hands.db, hands.objects, subject.user_id, now=now))
    except ObjectsError as trouble:
        raise TryAgain(now + STORAGE_AWAY, "storage_unavailable") from trouble


async def _records(hands: Hands, request: Doc, subject: Subject) -> Counter[str]:
    counts = await whose.erase(hands.db, subject)
    return Counter({f"{name}:{action}": number for (name, action), number in counts.items()})


STEPS: dict[Step, Callable[[Hands, Doc, Subject], Awaitable[Counter[str]]]] = {
    "leave": _leave,
    "tell": _tell,
    "suppress": _suppress,
    "files": _files,
    "records": _records,
}


async def _verify(hands: Hands, request: Doc, subject: Subject) -> None:
    """Look for everything again when nothing that was under way can write any more. Raises `TryAgain` until then."""
    db, since = hands.db, request["steps"]["records"]["at"]
    ended_at = since + timedelta(seconds=hands.settings.lease_s) + MARGIN
    if hands.clock() < ended_at:
        raise TryAgain(ended_at, WAITING)
    for _ in range(MOST_ROUNDS):
        if not await whose.count(db, subject):
            await _note(db, request, "verify", Counter(), now=hands.clock())
            return
        await whose.erase(db, subject)
    raise TryAgain(hands.clock() + AGAIN, "new_data_come_in")


async def _note(db: Database, request: Doc, step: Step, counts: Counter[str], *, now: datetime) -> None:
    """Record a step; the first result stays, but what was counted before a crash is lost with it."""
    query = {"_id": request["_id"], f"steps.{step}": {"$exists": False}}
    done = {f"steps.{step}": {"at": now, "counts": dict(counts)}}
    await db.open("privacy_requests").update_one(query, {"$set": done}, comment=requests.BY_ID)


async def _complete(hands: Hands, request: Doc) -> None:
    """Close the request with its receipt; of the person nothing is left in it but the id."""
    db, now = hands.db, hands.clock()
    receipt = receipts.of_erasure(request, now=now)

    async def all_of_it(session: Session) -> None:
        if not await requests.set_state(db, request["_id"], "done", now=now, session=session, receipt=receipt):
            return
        await requests.forget(db, request["_id"], "address_key", "known_until", "steps", session=session)
        told = {"chain": request["user_id"], "target": request["_id"]}
        await hands.audit.record(SYSTEM, "erasure.done", **told, now=now, session=session)
        await _end_chain(db, request["user_id"], now=now, session=session)
        await operations.add(
            db,
            label_id=None,
            kind="look_for_erased",
            target=request["_id"],
            key=f"look_for_erased:{request['_id']}",
            now=now,
            due_at=now + LAST_LOOK,
            session=session,
        )

    await db.in_transaction(all_of_it)


async def _end_chain(db: Database, user_id: str, *, now: datetime, session: Session) -> None:
    """The end of the account's chain in the audit log goes when its last row has gone."""
    query = {"label_id": None, "chain": user_id}
    ends = {"$set": {"expires_at": now + LIFE + LAST_LOOK}}
    await db.open("audit_heads").update_one(query, ends, session=session)
