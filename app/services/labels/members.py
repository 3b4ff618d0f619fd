"""Who works for a label, in which role. A label always has an owner."""

from collections.abc import Sequence
from datetime import datetime

from app.db import Database, Doc, Session
from app.errors import Conflict, Forbidden, LastOwner, NotFound, StaleVersion, Unauthenticated
from app.ids import new_id
from app.models.access import MAY_GRANT, Role
from app.services.audit import Audit, By
from app.services.inbox.assigning import unassign
from app.services.mail import outbox
from app.services.privacy import standing


async def membership_of(db: Database, user_id: str, label_id: str, *, session: Session | None = None) -> Doc | None:
    """The person's membership in the label, or none."""
    return await db.open("memberships").find_one({"label_id": label_id, "user_id": user_id}, session=session)


async def need(db: Database, label_id: str, member_id: str, *, session: Session | None = None) -> Doc:
    """The membership. Raises `NotFound`."""
    found = await db.open("memberships").find_one({"label_id": label_id, "_id": member_id}, session=session)
    if found is None:
        raise NotFound
    return found


async def page_of(db: Database, label_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """The memberships, oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$gt": after}} if after else {})
    return await db.open("memberships").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def users_of(db: Database, memberships: list[Doc]) -> dict[str, Doc]:
    """The accounts of these members, by id."""
    ids = [membership["user_id"] for membership in memberships]
    return {user["_id"]: user async for user in db.open("users").find({"_id": {"$in": ids}})}


async def owners(db: Database, label_id: str, *, session: Session) -> list[Doc]:
    """The memberships of the label's owners, but for those whose accounts are going to be erased."""
    query = {"label_id": label_id, "role": "owner", "leaving": None}
    return await db.open("memberships").find(query, session=session).to_list()


async def has_another_owner(db: Database, label_id: str, user_id: str, *, session: Session | None = None) -> bool:
    """Whether somebody else owns the label, whose account is not going to be erased."""
    query = {"label_id": label_id, "role": "owner", "leaving": None, "user_id": {"$ne": user_id}}
    return await db.open("memberships").find_one(query, {"_id": 1}, session=session) is not None


async def managers(db: Database, label_id: str, *, session: Session) -> list[Doc]:
    """The memberships of the label's owners and admins: who can see to what concerns the whole label."""
    query = {"label_id": label_id, "role": {"$in": ["owner", "admin"]}, "leaving": None}
    return await db.open("memberships").find(query, session=session).sort("_id", 1).to_list()


def new_membership(label_id: str, user_id: str, role: Role, *, now: datetime) -> Doc:
    """A membership, not stored yet."""
    document = {"_id": new_id("mbr"), "label_id": label_id, "user_id": user_id, "role": role}
    return document | {"created_at": now, "version": 1}


async def insert(db: Database, membership: Doc, *, session: Session) -> None:
    """Store a membership, and note with the account where its person has worked: their traces are looked for there.

    Raises `Unauthenticated` for an account that is going to be erased.
    """
    stays = {"_id": membership["user_id"], "erasure_due_at": None}
    worked = {"$addToSet": {"worked_in": membership["label_id"]}}
    if (await db.open("users").update_one(stays, worked, session=session)).matched_count == 0:
        raise Unauthenticated
    await db.open("memberships").insert_one(membership, session=session)


async def change_role(
    db: Database,
    audit: Audit,
    label_id: str,
    member_id: str,
    *,
    role: Role,
    own_role: Role,
    versions: list[int] | None,
    by: By,
    now: datetime,
) -> Doc:
    """Give a member another role, from the next request on.

    Raises `NotFound`, `Forbidden` for a role that the caller may neither give nor take, `LastOwner`, `StaleVersion`.
    """

    async def change(session: Session) -> Doc:
        found = await need(db, label_id, member_id, session=session)
        _check_may_grant(own_role, found["role"], role)
        if versions is not None and found.get("version", 1) not in versions:
            raise StaleVersion
        await _set_role(db, found, role, session)
        details = {"from": found["role"], "to": role}
        await audit.record(
            by, "member.changed", label_id=label_id, target=member_id, details=details, now=now, session=session
        )
        if "owner" in (found["role"], role):
            await _tell_owners(db, label_id, found, now=now, session=session)
        return await need(db, label_id, member_id, session=session)

    return await db.in_transaction(change)


async def remove(
    db: Database, audit: Audit, label_id: str, member_id: str, *, own_role: Role, by: By, now: datetime
) -> None:
    """Take a member out, from the next request on, with the invitations that they have sent.

    The conversations that they were to answer are nobody's then.
    Raises `NotFound`, `Forbidden`, `LastOwner`.
    """

    async def removed(session: Session) -> None:
        found = await need(db, label_id, member_id, session=session)
        if found["user_id"] != by.id:
            _check_may_grant(own_role, found["role"])
        if found["role"] == "owner":
            await _need_another_owner(db, label_id, found["user_id"], session)
        await take_out(db, audit, found, by=by, now=now, session=session)

    await db.in_transaction(removed)


async def take_out(db: Database, audit: Audit, member: Doc, *, by: By, now: datetime, session: Session) -> None:
    """The same for a membership whose label has another owner, in the caller's transaction."""
    label_id, user_id = member["label_id"], member["user_id"]
    await db.open("memberships").delete_one({"label_id": label_id, "_id": member["_id"]}, session=session)
    sent = {"label_id": label_id, "invited_by": user_id}
    await void_invitations(db, sent, now=now, session=session)
    await unassign(db, label_id, user_id, now=now, session=session)
    action = "member.left" if user_id == by.id else "member.removed"
    told = {"label_id": label_id, "target": member["_id"], "details": {"user_id": user_id, "role": member["role"]}}
    await audit.record(by, action, **told, now=now, session=session)
    if member["role"] == "owner":
        await _tell_owners(db, label_id, member, now=now, session=session)


async def void_invitations(db: Database, query: Doc, *, now: datetime, session: Session) -> int:
    """Make a label's invitations void, with their links and the mails that still wait; how many there were."""
    found = await db.open("invitations").find(query, session=session).to_list()
    ids = [invitation["_id"] for invitation in found]
    await db.open("invitations").delete_many({"label_id": query["label_id"], "_id": {"$in": ids}}, session=session)
    for one in ids:
        await outbox.void_links(db, one, ["invitation"], label_id=query["label_id"], now=now, session=session)
    return len(ids)


async def transfer_ownership(
    db: Database, audit: Audit, label: Doc, member_id: str, *, by: By, now: datetime
) -> tuple[Doc, Doc]:
    """Make a member the owner in the caller's place, who is an admin from then on; the new owner's membership, and
    the former's. Raises `NotFound`, `Conflict`."""
    label_id = label["_id"]

    async def transfer(session: Session) -> tuple[Doc, Doc]:
        new = await need(db, label_id, member_id, session=session)
        own = await membership_of(db, by.id, label_id, session=session)
        if own is None or own["role"] != "owner":
            raise NotFound
        if new["_id"] == own["_id"]:
            raise Conflict("The label is this member's already")
        await _set_role(db, new, "owner", session)
        await _set_role(db, own, "admin", session)
        details = {"from": own["_id"], "to": new["_id"]}
        await audit.record(
            by, "label.transferred", label_id=label_id, target=label_id, details=details, now=now, session=session
        )
        await _tell_owners(db, label_id, own, now=now, session=session)
        return await need(db, label_id, member_id, session=session), own

    return await db.in_transaction(transfer)


async def tell(
    db: Database,
    template: outbox.Template,
    user_id: str,
    label: Doc,
    *,
    about: Sequence[str] = (),
    now: datetime,
    session: Session,
    **facts: str,
) -> str | None:
    """Send a member of the label a mail about it; the id of the operation that does, none if they do not get it.

    `about` are the ids of the people whom the facts name.
    """
    user = await db.open("users").find_one({"_id": user_id}, session=session)
    if user is None:
        return None
    if template in outbox.NOTICES and not await standing.allows(db, user_id, "notices", session=session):
        return None
    told = {"name": user["name"], "label": label["name"]} | facts
    return await outbox.queue(
        db, template, subject=user_id, facts=told, about=about, label_id=label["_id"], now=now, session=session
    )


async def _tell_owners(db: Database, label_id: str, changed: Doc, *, now: datetime, session: Session) -> None:
    """Word to every owner, and to who was one or has become one, of who the owners are."""
    label = await db.open("labels").find_one({"_id": label_id}, session=session)
    present = await owners(db, label_id, session=session)
    users = await users_of(db, present)
    names = ", ".join(sorted(user["name"] for user in users.values()))
    left = set() if changed.get("leaving") else {changed["user_id"]}
    for user_id in sorted(left | set(users)):
        await tell(
            db, "owner_changed", user_id, label or {}, about=sorted(users), now=now, session=session, owners=names
        )


def _check_may_grant(own_role: Role, *roles: Role) -> None:
    if not MAY_GRANT[own_role].issuperset(roles):
        raise Forbidden


async def _set_role(db: Database, membership: Doc, role: Role, session: Session) -> None:
    label_id = membership["label_id"]
    if membership["role"] == "owner" and role != "owner":
        await _need_another_owner(db, label_id, membership["user_id"], session)
    update = {"$set": {"role": role}, "$inc": {"version": 1}}
    await db.open("memberships").update_one({"label_id": label_id, "_id": membership["_id"]}, update, session=session)


async def _need_another_owner(db: Database, label_id: str, user_id: str, session: Session) -> None:
    """Raise `LastOwner` for the last. Of two owners who leave at once, the second waits here, and then is the last."""
    touched = {"$inc": {"owners_changed": 1}}
    await db.open("labels").update_one({"_id": label_id}, touched, session=session)
    if not await has_another_owner(db, label_id, user_id, session=session):
        raise LastOwner
