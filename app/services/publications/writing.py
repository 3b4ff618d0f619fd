"""The one way in which a publication changes: compared and set, in a transaction with what hangs on it.

Whoever comes at the same time conflicts there, reads anew, and finds another version or another state.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db import Database, Doc, Session, TryTransactionAgain
from app.errors import NotFound, StaleVersion
from app.models.publications import State
from app.publication_errors import WrongState
from app.services.audit import Audit, By
from app.services.billing.entitlements import Meter
from app.services.events import Event, append
from app.services.publishing.queueing import withdraw_targets

Work = Callable[[Doc, Session], Awaitable[Doc | None]]
"""Gives what to change of a publication as it is now, or none where nothing is to be changed; a field that is None is
taken away if `SPARSE` names it."""
After = Callable[[Doc, Session], Awaitable[None]]
SPARSE = ("scheduled_at", "slot_key", "slot_id", "same")
"""Fields that are not there when they are empty: their indexes hold only what has them."""
QUEUED: frozenset[State] = frozenset(("scheduled", "publishing", "failed", "needs_decision"))
"""It has targets; `withdraw_targets` refuses where one of them is published or on its way to be."""
OPEN: frozenset[State] = QUEUED | {"draft", "in_review", "approved", "cancelled"}
"""Nothing is known to be published: it can be changed, scheduled, or published now, if its targets let it."""


@dataclass(frozen=True)
class Hand:
    """Who changes which publication of which label, when, and which versions of it they have seen."""

    db: Database
    audit: Audit
    label_id: str
    by: By
    now: datetime
    meter: Meter
    versions: list[int] | None = None
    may_approve: bool = False


async def need(db: Database, label_id: str, publication_id: str, *, session: Session | None = None) -> Doc:
    """The publication. Raises `NotFound`."""
    key = {"_id": publication_id, "label_id": label_id}
    found = await db.open("publications").find_one(key, session=session)
    if found is None:
        raise NotFound
    return found


async def step(
    hand: Hand,
    publication_id: str,
    action: str,
    *,
    states: Collection[State],
    work: Work,
    after: After | None = None,
    details: dict[str, str] | None = None,
) -> Doc:
    """Change a publication that is in one of these states; as it is then. `action` is what the audit log calls it.

    Raises `NotFound`, `StaleVersion`, `WrongState`, and whatever `work` does.
    """

    async def all_of_it(session: Session) -> Doc:
        found = await need(hand.db, hand.label_id, publication_id, session=session)
        check(found, states, hand.versions)
        changes = await work(found, session)
        if changes is None:
            return found
        changed = await write(hand, found, changes, session)
        if after is not None:
            await after(changed, session)
        await record(hand, changed, action, details, session)
        return changed

    return await hand.db.in_transaction(all_of_it)


def check(publication: Doc, states: Collection[State], versions: list[int] | None) -> None:
    """Raise `StaleVersion` where it is of none of these versions, `WrongState` where it is in none of these states."""
    if versions is not None and publication["version"] not in versions:
        raise StaleVersion
    if publication["state"] not in states:
        wanted = f", and must be {' or '.join(states)} for this" if len(states) == 1 else ""
        how = ": submit it first" if publication["state"] == "draft" and "in_review" in states else ""
        raise WrongState(f"The publication is {publication['state']}{wanted}{how}")


async def write(hand: Hand, found: Doc, changes: Doc, session: Session) -> Doc:
    """Write these changes to a publication that is still as it was found; as it is then."""
    gone = [name for name in SPARSE if name in changes and changes[name] is None]
    kept = {name: value for name, value in changes.items() if name not in gone} | {"updated_at": hand.now}
    update: Doc = {"$set": kept, "$inc": {"version": 1}} | ({"$unset": dict.fromkeys(gone, "")} if gone else {})
    key = {name: found[name] for name in ("_id", "label_id", "version", "state")}
    if (await hand.db.open("publications").update_one(key, update, session=session)).matched_count == 0:
        raise TryTransactionAgain
    return {k: v for k, v in (found | kept).items() if k not in gone} | {"version": found["version"] + 1}


async def record(hand: Hand, publication: Doc, action: str, details: dict[str, str] | None, session: Session) -> None:
    """Tell the audit log and the stream of a change."""
    told: dict[str, Any] = {"label_id": hand.label_id, "target": publication["_id"], "now": hand.now}
    version = {"version": str(publication["version"])}
    await hand.audit.record(hand.by, action, details=version | (details or {}), session=session, **told)
    await tell(hand.db, publication, now=hand.now, session=session)


async def tell(db: Database, publication: Doc, *, now: datetime, session: Session) -> None:
    """Append the event of this version."""
    key = f"publication:{publication['_id']}:v{publication['version']}"
    event = Event(publication["label_id"], key, "publication.changed", publication["_id"], now)
    await append(db, [event], session=session)


async def withdraw(hand: Hand, publication: Doc, session: Session) -> None:
    """Take back what waits of it, if it was queued. Raises `AlreadyPublishing`."""
    if publication["state"] in QUEUED:
        await withdraw_targets(hand.db, publication, now=hand.now, session=session)


def actor(by: By) -> Doc:
    """Who did it, as it is stored."""
    return {"kind": by.kind, "id": by.id}


def with_author(hand: Hand, publication: Doc) -> list[Doc]:
    """Who has written it since somebody else approved it, with this hand among them."""
    others: list[Doc] = [one for one in publication["authors"] if one != actor(hand.by)]
    return [*others, actor(hand.by)]
