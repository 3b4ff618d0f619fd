"""Taking back what a backup has brought back: people, labels, connections and secrets that ended after it was made.

The journal says of what by keyed hashes; each candidate of the restored database is hashed and looked for. All of it
may be done again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import LastOwner, Unauthenticated
from app.models.consent_texts import Purpose
from app.models.data_map import DATA_MAP
from app.services.audit import SYSTEM, Audit
from app.services.backups.journal import Entry, Journal
from app.services.connections import erasing, leaving
from app.services.consents import ledger, suppression
from app.services.privacy import erasure, whose

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
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        if entry.kind == "erasure_cancelled":
            wanted.get("erasure_asked", set()).discard(entry.who)
        else:
            wanted.setdefault(entry.kind, set()).add(entry.who)
    done = Counter[str]()
    done["people erased"] = await _people(what, wanted.get("person_erased", set()))
    done["labels deleted"] = await _labels(what, wanted.get("label_deleted", set()))
    done["connections ended"] = await _connections(what, wanted.get("connection_ended", set()))
    done["passwords voided"] = await _passwords(what, wanted.get("password_changed", set()))
    done["clients deleted"] = await _clients(what, wanted.get("client_ended", set()))
    done["client secrets ended"] = await _secrets(what, wanted.get("client_secret_ended", set()))
    done["consents ended"] = await _consents(what, wanted.get("consent_ended", set()))
    done["erasures begun anew"] = await _asked(what, wanted.get("erasure_asked", set()))
    return +done


async def _known(what: Replay, name: str, hashes: set[str]) -> list[Doc]:
    """The documents of a collection whose ids have these hashes."""
    if not hashes:
        return []
    found = what.db.open(name).find({}, {"_id": 1}, comment=WHY)
    ids = [one["_id"] async for one in found if what.journal.hash_of(str(one["_id"])) in hashes]
    return await what.db.open(name).find({"_id": {"$in": ids}}, comment=WHY).to_list()


async def _people(what: Replay, hashes: set[str]) -> int:
    people = await _known(what, "users", hashes)
    for user in people:
        subject = await whose.subject_of(what.db, user, now=what.now)

        async def never_mail(session: Session, user: Doc = user) -> None:
            await suppression.suppress(what.db, what.suppress_key, user["email"], now=what.now, session=session)

        await what.db.in_transaction(never_mail)
        while await whose.count(what.db, subject):
            await whose.erase(what.db, subject)
    return len(people)


async def _labels(what: Replay, hashes: set[str]) -> int:
    labels = await _known(what, "labels", hashes)
    for label in labels:
        for collection in DATA_MAP.values():
            if collection.tenant and collection.erasure != "keep" and not collection.outlives_label:
                await what.db.open(collection.name).delete_many({"label_id": label["_id"]})
        await what.db.open("labels").delete_one({"_id": label["_id"]})
    return len(labels)


async def _connections(what: Replay, hashes: set[str]) -> int:
    """Refuse every use at once; the operation that ends the rest waits, as all do, until it is lifted."""
    connections = await _known(what, "connections", hashes)
    for connection in connections:

        async def end(session: Session, connection: Doc = connection) -> Doc:
            return await leaving.begin(
                what.db, what.audit, connection, reason="disconnected", by=SYSTEM, now=what.now, session=session
            )

        await what.db.in_transaction(end)
        await erasing.erase(what.db, connection, "erase")
    return len(connections)


async def _passwords(what: Replay, hashes: set[str]) -> int:
    """An old password, which somebody else may have, lets nobody in: their person chooses a new one by a mail."""
    people = await _known(what, "users", hashes)
    ids = [user["_id"] for user in people]
    await what.db.open("users").update_many({"_id": {"$in": ids}}, {"$set": {"password_hash": None}})
    return len(people)


async def _clients(what: Replay, hashes: set[str]) -> int:
    clients = await _known(what, "api_clients", hashes)
    for client in clients:
        await what.db.open("api_clients").delete_one({"_id": client["_id"], "label_id": client["label_id"]})
    return len(clients)


async def _secrets(what: Replay, hashes: set[str]) -> int:
    if not hashes:
        return 0
    clients, count = what.db.open("api_clients"), 0
    async for client in clients.find({}, {"label_id": 1, "secrets.id": 1}, comment=WHY):
        ended = [one["id"] for one in client.get("secrets", []) if what.journal.hash_of(one["id"]) in hashes]
        place = {"_id": client["_id"], "label_id": client["label_id"]}
        if ended:
            await clients.update_one(place, {"$pull": {"secrets": {"id": {"$in": ended}}}})
        count += len(ended)
    return count


async def _consents(what: Replay, hashes: set[str]) -> int:
    """Whoever has withdrawn since has withdrawn: a row more, as the ledger only grows."""
    if not hashes:
        return 0
    given = what.db.open("consents").find({"decision": "given"}, {"subject": 1, "purpose": 1})
    found = {(one["subject"], one["purpose"]) async for one in given}
    ended = [one for one in sorted(found) if what.journal.hash_of(":".join(one)) in hashes]
    count = 0
    for subject, purpose in ended:

        async def withdraw(session: Session, subject: str = subject, purpose: Purpose = purpose) -> bool:
            newest = await ledger.newest(what.db, subject, purpose, session=session)
            if newest is None or newest["decision"] != "given":
                return False
            told: Doc = {"text": None, "how": "restored", "gpc": False, "now": what.now, "session": session}
            await ledger.append(what.db, subject, purpose, "withdrawn", **told)
            return True

        count += await what.db.in_transaction(withdraw)
    return count


async def _asked(what: Replay, hashes: set[str]) -> int:
    """Their time of grace begins anew; a mail with the way back waits, as all do, until it is lifted."""
    count = 0
    for user in await _known(what, "users", hashes):
        try:
            await erasure.begin(what.db, what.audit, user["_id"], receipts=what.receipts, by=SYSTEM, now=what.now)
        except (LastOwner, Unauthenticated):  # it has begun in the backup already, or a label stands in its way
            continue
        count += 1
    return count
