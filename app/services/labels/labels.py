"""Labels themselves: made, shown, changed."""

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.db import ALL_LABELS, Database, Doc, Session
from app.errors import NotFound, SlugTaken, StaleVersion
from app.ids import new_id
from app.models.labels import DEFAULT_APPROVAL, Approval
from app.services.audit import Audit, By
from app.services.labels import members


async def create_label(
    db: Database,
    audit: Audit,
    by: By,
    *,
    name: str,
    slug: str,
    country: str,
    timezone: str,
    branding: Doc,
    now: datetime,
) -> Doc:
    """Make a label, and its maker its owner. Raises `SlugTaken`."""
    label: Doc = {
        "_id": new_id("lbl"),
        "name": name,
        "slug": slug,
        "country": country,
        "timezone": timezone,
        "branding": branding,
        "created_at": now,
        "version": 1,
    }
    owner = members.new_membership(label["_id"], by.id, "owner", now=now)

    async def both(session: Session) -> None:
        await db.open("labels").insert_one(label, session=session)
        await members.insert(db, owner, session=session)
        await audit.record(by, "label.made", label_id=label["_id"], target=label["_id"], now=now, session=session)

    try:
        await db.in_transaction(both)
    except DuplicateKeyError as exc:
        raise SlugTaken from exc
    return label


def approval_of(label: Doc) -> Approval:
    """Whether its publications must be approved; a label of an older release has the default."""
    found: Approval = label.get("publishing_approval", DEFAULT_APPROVAL)
    return found


async def is_deleting(db: Database, label_id: str, *, session: Session | None = None) -> bool:
    """Whether its deletion is announced."""
    announced = {"_id": label_id, "deletion_due_at": {"$ne": None}}
    return await db.open("labels").find_one(announced, {"_id": 1}, session=session) is not None


async def need_label(db: Database, label_id: str) -> Doc:
    """The label. Raises `NotFound`."""
    label = await db.open("labels").find_one({"_id": label_id})
    if label is None:
        raise NotFound
    return label


async def page_of_labels(db: Database, user_id: str, *, after: str | None, limit: int) -> list[Doc]:
    """The labels that a person works for, each with their `role`, by id, one more than `limit` if there are more."""
    query: Doc = {"user_id": user_id} | ({"label_id": {"$gt": after}} if after else {})
    memberships = db.open("memberships").find(query, comment=f"{ALL_LABELS}a person's own labels").sort("label_id", 1)
    roles = {membership["label_id"]: membership["role"] async for membership in memberships.limit(limit + 1)}
    found = {label["_id"]: label async for label in db.open("labels").find({"_id": {"$in": list(roles)}})}
    return [found[label_id] | {"role": role} for label_id, role in roles.items() if label_id in found]


async def change_label(
    db: Database, audit: Audit, label_id: str, *, changes: Doc, versions: list[int] | None, by: By, now: datetime
) -> Doc:
    """Change a label's own fields, if it still is of one of the `versions` seen. Raises `StaleVersion`, `SlugTaken`."""
    query: Doc = {"_id": label_id} | ({"version": {"$in": versions}} if versions is not None else {})
    update: Doc = {"$inc": {"version": 1}, "$set": changes}

    async def change(session: Session) -> None:
        if not changes:
            if await db.open("labels").find_one(query, session=session) is None:
                raise StaleVersion
            return
        if (await db.open("labels").update_one(query, update, session=session)).matched_count == 0:
            raise StaleVersion
        details = {"fields": ",".join(sorted(changes))}
        await audit.record(
            by, "label.changed", label_id=label_id, target=label_id, details=details, now=now, session=session
        )

    try:
        await db.in_transaction(change)
    except DuplicateKeyError as exc:
        raise SlugTaken from exc
    return await need_label(db, label_id)
