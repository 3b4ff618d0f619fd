"""Taking back what a backup has brought back: people, labels, connections and secrets that ended after it was made.

The journal says of what by keyed hashes; each candidate of the restored database is hashed and looked for. All of it
may be done again.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import LastOwner, Unauthenticated
from app.models.access import Role
from app.models.consent_texts import Purpose
from app.models.data_map import DATA_MAP
from app.models.privacy_requests import ObjectionPurpose
from app.services.audit import SYSTEM, Audit
from app.services.backups.journal import Entry, Journal, Kind
from app.services.billing.ending import pseudonymise
from app.services.connections import erasing, leaving
from app.services.consents import choosing, ledger, suppression
from app.services.labels import members
from app.services.people import accounts, staff
from app.services.privacy import erasure, fan_tombstones, requests, standing, whose

Wanted = dict[str, Entry]
"""By the hash of whom or what it is about; the newest counts."""
OBJECTIONS: tuple[ObjectionPurpose, ...] = get_args(ObjectionPurpose)
WHY = f"{ALL_LABELS}what a restored backup has brought back"


@dataclass(frozen=True)
class Replay:
    """What it is done with."""

    db: Database
    audit: Audit
    journal: Journal
    suppress_key: bytes
    receipts: str
    now: datetime


async def replay(what: Replay, entries: Iterable[Entry]) -> Counter[str]:
    """Do again what the journal tells; how many of which kind were there to be done."""
    wanted: dict[Kind, dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.kind in TAKES_BACK:
            wanted[TAKES_BACK[entry.kind]].pop(entry.who, None)
        else:
            wanted[entry.kind][entry.who + entry.what * (entry.kind == "fan_erased")] = entry
    done = Counter[str]()
    for kind, told, work in WORK:
        if wanted[kind]:
            done[told] = await work(what, wanted[kind])
    done["staff let go"] = await _staff(what)
    return +done


async def _known(what: Replay, name: str, hashes: Collection[str]) -> list[Doc]:
    """The documents of a collection whose ids have these hashes."""
    found = what.db.open(name).find({}, {"_id": 1}, comment=WHY)
    ids = [one["_id"] async for one in found if what.journal.hash_of(str(one["_id"])) in hashes]
    return await what.db.open(name).find({"_id": {"$in": ids}}, comment=WHY).to_list()


async def _people(what: Replay, wanted: Wanted) -> int:
    """What they had asked for, if it waits in the backup, is met: its receipt was given when it was done first."""
    people = await _known(what, "users", wanted)
    for user in people:
        subject = await whose.subject_of(what.db, user, now=what.now)

        async def both(session: Session, user: Doc = user) -> None:
            await suppression.suppress(what.db, what.suppress_key, user["email"], now=what.now, session=session)
            asked = await requests.open_of(what.db, user["_id"], "erasure", session=session)
            if asked is not None:
                told: Doc = {"evidence": ["restored"], "now": what.now, "session": session}
                await requests.set_state(what.db, asked["_id"], "done", **told)
                await requests.forget(what.db, asked["_id"], "address_key", "steps", session=session)

        await what.db.in_transaction(both)
        while await whose.count(what.db, subject):
            await whose.erase(what.db, subject)
    return len(people)


async def _labels(what: Replay, wanted: Wanted) -> int:
    """What a law asks for stays, under a pseudonym, as it did when the label was deleted first."""
    labels = await _known(what, "labels", wanted)
    for label in labels:

        async def change_hands(session: Session, label: Doc = label) -> None:
            await pseudonymise(what.db, what.audit, label["_id"], what.now, session)

        if await what.db.open("billing_accounts").find_one({"label_id": label["_id"]}, {"_id": 1}):
            await what.db.in_transaction(change_hands)
        for collection in DATA_MAP.values():
            if collection.tenant and collection.erasure != "keep" and not collection.outlives_label:
                await what.db.open(collection.name).delete_many({"label_id": label["_id"]})
        await what.db.open("labels").delete_one({"_id": label["_id"]})
    return len(labels)


async def _connections(what: Replay, wanted: Wanted) -> int:
    """Refuse every use at once; the operation that ends the rest waits, as all do, until it is lifted."""
    connections = await _known(what, "connections", wanted)
    for connection in connections:

        async def end(session: Session, connection: Doc = connection) -> Doc:
            return await leaving.begin(
                what.db, what.audit, connection, reason="disconnected", by=SYSTEM, now=what.now, session=session
            )

        await what.db.in_transaction(end)
        await erasing.erase(what.db, connection, "erase")
    return len(connections)


async def _passwords(what: Replay, wanted: Wanted) -> int:
    """An old password, which somebody else may have, lets nobody in: their person chooses a new one by a mail."""
    people = await _known(what, "users", wanted)
    ids = [user["_id"] for user in people]
    await what.db.open("users").update_many({"_id": {"$in": ids}}, {"$set": {"password_hash": None}})
    return len(people)


async def _factors(what: Replay, wanted: Wanted) -> int:
    """A second factor that was changed since, or a code of it used up, is none; nor is its password then enough."""
    people = await _known(what, "second_factors", wanted)
    ids = [one["_id"] for one in people]
    await what.db.open("users").update_many({"_id": {"$in": ids}}, {"$set": {"password_hash": None}})
    await what.db.open("second_factors").delete_many({"_id": {"$in": ids}})
    return len(people)


async def _accounts(what: Replay, wanted: Wanted) -> int:
    people = await _known(what, "users", wanted)
    for user in people:
        await accounts.disable(what.db, what.audit, user, now=what.now)
    return len(people)


async def _clients(what: Replay, wanted: Wanted) -> int:
    clients = await _known(what, "api_clients", wanted)
    for client in clients:
        await what.db.open("api_clients").delete_one({"_id": client["_id"], "label_id": client["label_id"]})
    return len(clients)


async def _secrets(what: Replay, wanted: Wanted) -> int:
    clients, count = what.db.open("api_clients"), 0
    async for client in clients.find({}, {"label_id": 1, "secrets.id": 1}, comment=WHY):
        ended = [one["id"] for one in client.get("secrets", []) if what.journal.hash_of(one["id"]) in wanted]
        place = {"_id": client["_id"], "label_id": client["label_id"]}
        if ended:
            await clients.update_one(place, {"$pull": {"secrets": {"id": {"$in": ended}}}})
        count += len(ended)
    return count


async def _consents(what: Replay, wanted: Wanted) -> int:
    """Whoever has withdrawn since has withdrawn: a row more, as the ledger only grows, and what comes with it."""
    given = what.db.open("consents").find({"decision": "given"}, {"subject": 1, "purpose": 1})
    found = {(one["subject"], one["purpose"]) async for one in given}
    ended = [one for one in sorted(found) if what.journal.hash_of(":".join(one)) in wanted]
    count = 0
    for subject, purpose in ended:

        async def withdraw(session: Session, subject: str = subject, purpose: Purpose = purpose) -> bool:
            newest = await ledger.newest(what.db, subject, purpose, session=session)
            by = None if subject.startswith("vis_") else SYSTEM
            told: Doc = {"how": "restored", "gpc": False, "by": by, "now": what.now, "session": session}
            await choosing.withdraw(what.db, what.audit, subject, purpose, **told)
            return newest is not None and newest["decision"] == "given"

        count += await what.db.in_transaction(withdraw)
    return count


async def _members(what: Replay, wanted: Wanted) -> int:
    """Who was taken out is out, and who had another role has that one. Owners come first, so that a label has one;
    the last one stays, as the new one is not there."""
    found = await _known(what, "memberships", wanted)
    changed = [(wanted[what.journal.hash_of(one["_id"])].what, one) for one in found]
    count = 0
    for role, one in sorted(changed, key=lambda pair: pair[0] != "owner"):
        if role == one["role"]:
            continue
        place = (what.db, what.audit, one["label_id"], one["_id"])
        told: Doc = {"own_role": "owner", "by": SYSTEM, "now": what.now}
        try:
            if role:
                await members.change_role(*place, role=cast(Role, role), versions=None, **told)
            else:
                await members.remove(*place, **told)
        except LastOwner:
            continue
        count += 1
    return count


async def _uses(what: Replay, wanted: Wanted) -> int:
    """Whoever has restricted the use of their data, or objected to one, has done so."""
    count = 0
    async for user in what.db.open("users").find({}, {"_id": 1}):
        user_id: str = user["_id"]
        told: Doc = {"by": SYSTEM, "now": what.now}
        if what.journal.hash_of(f"{user_id}:{standing.RESTRICTION}") in wanted:
            await standing.restrict(what.db, what.audit, user_id, **told)
            count += 1
        for purpose in OBJECTIONS:
            if what.journal.hash_of(f"{user_id}:{purpose}") in wanted:
                await standing.object_to(what.db, what.audit, user_id, purpose, **told)
                count += 1
    return count


async def _fans(what: Replay, wanted: Wanted) -> int:
    """What the labels have erased of fans does not come back from Meta."""
    hashes = {entry.who for entry in wanted.values()}
    labels = {what.journal.hash_of(one["_id"]): one["_id"] for one in await _known(what, "labels", hashes)}
    known = [one for one in wanted.values() if one.who in labels]
    for one in known:
        await fan_tombstones.note(what.db, labels[one.who], one.what.split(), at=one.at)
    return len(known)


async def _staff(what: Replay) -> int:
    """Who has left our support since, nobody notes outside: an operator says anew who is of it."""
    count = 0
    async for user in what.db.open("users").find({"staff": True}, {"_id": 1}):
        await staff.revoke(what.db, what.audit, user["_id"], now=what.now)
        count += 1
    return count


async def _asked(what: Replay, wanted: Wanted) -> int:
    """Their time of grace begins anew; a mail with the way back waits, as all do, until it is lifted."""
    count = 0
    for user in await _known(what, "users", wanted):
        try:
            await erasure.begin(what.db, what.audit, user["_id"], receipts=what.receipts, by=SYSTEM, now=what.now)
        except (LastOwner, Unauthenticated):  # it has begun in the backup already, or a label stands in its way
            continue
        count += 1
    return count


async def _not_begun(what: Replay, wanted: Wanted) -> int:
    """Those whom a label keeps: its new owner came after the backup. Somebody must see to them."""
    return sum(user.get("erasure_due_at") is None for user in await _known(what, "users", wanted))


TAKES_BACK: dict[Kind, Kind] = {
    "erasure_cancelled": "erasure_asked",
    "use_allowed": "use_ended",
    "account_enabled": "account_disabled",
}
WORK: tuple[tuple[Kind, str, Callable[[Replay, Wanted], Awaitable[int]]], ...] = (
    ("person_erased", "people erased", _people),
    ("label_deleted", "labels deleted", _labels),
    ("connection_ended", "connections ended", _connections),
    ("password_changed", "passwords voided", _passwords),
    ("factor_ended", "second factors voided", _factors),
    ("account_disabled", "accounts disabled", _accounts),
    ("client_ended", "clients deleted", _clients),
    ("client_secret_ended", "client secrets ended", _secrets),
    ("consent_ended", "consents ended", _consents),
    ("member_changed", "members changed", _members),
    ("use_ended", "uses ended", _uses),
    ("fan_erased", "fans kept out", _fans),
    ("erasure_asked", "erasures begun anew", _asked),
    ("erasure_asked", "erasures not begun: a label has no other owner", _not_begun),
)
"""In this order: what was erased needs nothing more."""
