"""Asking people to work for a label: by mail, for seven days, for the one address that was asked."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import AccountExists, AlreadyMember, Forbidden, InvalidToken, NotFound, WrongRecipient
from app.ids import new_id
from app.models.access import MAY_GRANT, Role
from app.services import single_use
from app.services.audit import Audit, By
from app.services.billing.entitlements import Meter
from app.services.labels import members
from app.services.mail import outbox
from app.services.partners import clients
from app.services.people import accounts, recovery
from app.services.people.accounts import Newcomer

LIFE = single_use.LIVES["invitation"]
PARTNERS_MAY_GRANT: frozenset[Role] = frozenset(("editor", "agent", "analyst"))


async def invite(
    db: Database,
    audit: Audit,
    meter: Meter,
    label: Doc,
    *,
    email: str,
    role: Role,
    own_role: Role | None,
    by: By,
    now: datetime,
) -> Doc:
    """Ask an address, known or not; an earlier invitation to it is void. `own_role` is none for an API client.

    Raises `Forbidden` for a role that the caller may not give, also that of the earlier one; `AlreadyMember`;
    `PlanLimitReached` and `BillingReadOnly`.
    """
    if role not in _may_give(own_role):
        raise Forbidden
    label_id, key = label["_id"], accounts.email_key(email)
    invitation: Doc = {
        "_id": new_id("inv"),
        "label_id": label_id,
        "email": email,
        "email_key": key,
        "role": role,
        "invited_by": by.id,
        "created_at": now,
        "expires_at": now + LIFE,
    }

    await db.in_transaction(lambda session: _ask(db, audit, meter, label, invitation, own_role, by, now, session))
    return invitation


async def _ask(
    db: Database,
    audit: Audit,
    meter: Meter,
    label: Doc,
    invitation: Doc,
    own_role: Role | None,
    by: By,
    now: datetime,
    session: Session,
) -> None:
    label_id, email, role, key = label["_id"], invitation["email"], invitation["role"], invitation["email_key"]
    of_address = {"label_id": label_id, "email_key": key}
    earlier = await db.open("invitations").find_one(of_address, session=session)
    if earlier and earlier["role"] not in _may_give(own_role):
        raise Forbidden
    user = await db.open("users").find_one({"email_key": key}, session=session)
    if user and await members.membership_of(db, user["_id"], label_id, session=session):
        raise AlreadyMember
    await members.void_invitations(db, of_address, now=now, session=session)
    await meter.need_room(label_id, "seats", now=now, session=session)
    await db.open("invitations").insert_one(invitation, session=session)
    inviter = await db.open("users").find_one({"_id": by.id}, session=session)
    facts = {"label": label["name"], "role": role, "inviter": inviter["name"] if inviter else label["name"]}
    await outbox.queue(
        db,
        "invitation",
        subject=invitation["_id"],
        to=email,
        facts=facts,
        about=[inviter["_id"]] if inviter else [],
        label_id=label_id,
        now=now,
        session=session,
    )
    details = {"role": role}
    await audit.record(
        by,
        "invitation.made",
        label_id=label_id,
        target=invitation["_id"],
        details=details,
        now=now,
        session=session,
    )


async def need(db: Database, label_id: str, invitation_id: str, *, now: datetime) -> Doc:
    """The invitation. Raises `NotFound`."""
    query = {"label_id": label_id, "_id": invitation_id, "expires_at": {"$gt": now}}
    found = await db.open("invitations").find_one(query)
    if found is None:
        raise NotFound
    return found


async def page_of(db: Database, label_id: str, *, after: str | None, limit: int, now: datetime) -> list[Doc]:
    """Who was asked and has not answered yet, oldest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "expires_at": {"$gt": now}} | ({"_id": {"$gt": after}} if after else {})
    return await db.open("invitations").find(query).sort("_id", 1).limit(limit + 1).to_list()


async def withdraw(
    db: Database, audit: Audit, invitation: Doc, *, own_role: Role | None, by: By, now: datetime
) -> None:
    """Make it void. Raises `NotFound` when it has been accepted meanwhile, `Forbidden` as `invite` does."""
    if invitation["role"] not in _may_give(own_role):
        raise Forbidden

    async def withdrawn(session: Session) -> None:
        query = {"label_id": invitation["label_id"], "_id": invitation["_id"]}
        if await members.void_invitations(db, query, now=now, session=session) == 0:
            raise NotFound
        await audit.record(
            by,
            "invitation.withdrawn",
            label_id=invitation["label_id"],
            target=invitation["_id"],
            now=now,
            session=session,
        )

    await db.in_transaction(withdrawn)


async def look_up(db: Database, token: str, *, now: datetime) -> tuple[Doc, Doc]:
    """The token and the invitation that it is for. Raises `InvalidToken`."""
    found = await single_use.look_up(db, "invitation", token, now=now)
    reason = f"{ALL_LABELS}an invitation, before its label is known"
    invitation = await db.open("invitations").find_one({"_id": found["subject"]}, comment=reason)
    if invitation is None or invitation["expires_at"] <= now:
        raise InvalidToken
    return found, invitation


async def accept(
    db: Database,
    audit: Audit,
    meter: Meter,
    token: Doc,
    invitation: Doc,
    user: Doc,
    *,
    newcomer: Newcomer | None,
    by: By,
    now: datetime,
) -> Doc:
    """Make the invited person a member; a new account is stored with it, or neither is. The membership.

    Raises `WrongRecipient` for another address's account, `InvalidToken` when another was first, `AlreadyMember`,
    `AccountExists` when the address has one, `PlanLimitReached` and `BillingReadOnly` when the label's plan has no
    place for them any more.
    """
    if user["email_key"] != invitation["email_key"]:
        raise WrongRecipient
    label_id, role = invitation["label_id"], invitation["role"]
    membership, by = members.new_membership(label_id, user["_id"], role, now=now), by.known_as(user["_id"])

    async def join(session: Session) -> None:
        await single_use.use_up(db, token, session=session)
        gone = await db.open("invitations").delete_one(
            {"label_id": label_id, "_id": invitation["_id"]}, session=session
        )
        if gone.deleted_count == 0:
            raise InvalidToken
        if not await _may_still_ask(db, invitation, now=now, session=session):
            raise InvalidToken
        await _keep_account(db, audit, user, newcomer, by=by, now=now, session=session)
        if await members.membership_of(db, user["_id"], label_id, session=session):
            raise AlreadyMember
        label = await db.open("labels").find_one({"_id": label_id}, session=session)
        if label is None or label.get("deletion_due_at"):
            raise InvalidToken
        await meter.need_seat_taken(label_id, now=now, session=session)
        await members.insert(db, membership, session=session)
        details = {"role": role, "user_id": user["_id"], "invitation_id": invitation["_id"]}
        await audit.record(
            by, "member.joined", label_id=label_id, target=membership["_id"], details=details, now=now, session=session
        )

    try:
        await db.in_transaction(join)
    except DuplicateKeyError:
        raise AccountExists from None
    return membership


async def _keep_account(
    db: Database, audit: Audit, user: Doc, newcomer: Newcomer | None, *, by: By, now: datetime, session: Session
) -> None:
    """Store a new account; of one that is there, the address is known now: the invitation came to it."""
    if newcomer:
        await accounts.add(db, audit, newcomer, by=by, now=now, session=session)
    else:
        await recovery.mark_verified(db, user["_id"], now=now, session=session)


def _may_give(own_role: Role | None) -> frozenset[Role]:
    return MAY_GRANT[own_role] if own_role else PARTNERS_MAY_GRANT


async def _may_still_ask(db: Database, invitation: Doc, *, now: datetime, session: Session) -> bool:
    """Whether who asked could ask the same today: a role that is gone, a disabled account or client lets nobody in."""
    label_id, inviter = invitation["label_id"], invitation["invited_by"]
    if inviter.startswith("cli_"):
        return await clients.is_working(db, label_id, inviter, "members:invite", now=now)
    membership = await members.membership_of(db, inviter, label_id, session=session)
    user = await db.open("users").find_one({"_id": inviter}, session=session)
    is_there = user is not None and not accounts.is_shut(user)
    return membership is not None and is_there and invitation["role"] in _may_give(membership["role"])
