"""Publications as they are written: made, read, changed, restored, deleted. A change makes a draft again."""

from collections.abc import Mapping
from typing import Any, get_args

from app.db import Database, Doc, Session
from app.errors import NotFound
from app.ids import new_id
from app.models.publications import CONTENT, TIMING, PublicationChange, PublicationCreate, State
from app.services.labels import labels
from app.services.publications import plans
from app.services.publications.alike import keys_of
from app.services.publications.checking import check_references
from app.services.publications.timing import SETS_TIME, timing
from app.services.publications.writing import OPEN, Hand, actor, check, need, record, step, with_author, withdraw
from app.services.publishing.queueing import need_closed

ACCOUNT_GONE: State = "unknown"
"""Where no target is left: then nobody can say any more what became of it."""
DELETABLE: frozenset[State] = (OPEN | {ACCOUNT_GONE}) - {"scheduled", "publishing", "needs_decision"}
UNAPPROVED: Doc = {"approved_by": None, "approved_version": None, "submitted_by": None, "shown": None}
STATES: tuple[State, ...] = get_args(State)


async def assemble(db: Database, label_id: str, body: Mapping[str, Any], *, session: Session | None = None) -> Doc:
    """A publication of what was asked for, as it would be stored: its content and its time. Nothing of it is written.

    In the transaction that writes it, its plan is held: should the date move meanwhile, its time is found anew. Raises
    `InvalidInput` for what the label does not have, and for a time that is none.
    """
    content = {name: body[name] for name in CONTENT}
    await check_references(db, label_id, content, {}, session=session)
    return content | await _timing(db, label_id, {}, body, session)


def stored_body(body: PublicationCreate) -> Doc:
    """What was asked for, with the texts of pictures as they are stored: by the picture's id."""
    told = body.model_dump()
    texts = {one["asset_id"]: one["text"] for one in told.pop("alt_texts")}
    first = told.pop("alt_text")
    if first and told["assets"]:
        texts = {told["assets"][0]: first} | {k: v for k, v in texts.items() if k != told["assets"][0]}
    return told | {"alt_texts": texts}


def stored_change(body: PublicationChange) -> Doc:
    """What was given, with the texts of pictures as they are stored."""
    told = body.model_dump(exclude_unset=True)
    if "alt_texts" in told:
        told["alt_texts"] = {one["asset_id"]: one["text"] for one in told["alt_texts"]}
    return told


async def create(hand: Hand, body: Mapping[str, Any]) -> Doc:
    """Write a draft. Raises `InvalidInput`."""

    async def all_of_it(session: Session) -> Doc:
        draft = new_draft(hand, await assemble(hand.db, hand.label_id, body, session=session))
        await _insert(hand, draft, session)
        return draft

    return await hand.db.in_transaction(all_of_it)


def new_draft(hand: Hand, assembled: Doc) -> Doc:
    """The document of a draft of this content and time."""
    fresh: Doc = {"_id": new_id("pub"), "label_id": hand.label_id, "state": "draft"} | assembled | UNAPPROVED
    fresh |= {"version": 1, "content_version": 1, "same": keys_of(assembled)}
    fresh |= {"created_by": actor(hand.by), "authors": [actor(hand.by)]}
    fresh |= {"created_at": hand.now, "updated_at": hand.now}
    return {name: value for name, value in fresh.items() if value is not None or name not in ("scheduled_at", "same")}


async def _insert(hand: Hand, draft: Doc, session: Session) -> None:
    """Write a draft with its first version."""
    await hand.db.open("publications").insert_one(draft, session=session)
    await _keep_version(hand, draft, session)
    await record(hand, draft, "publication.made", None, session)


async def page_of(
    db: Database,
    label_id: str,
    *,
    state: State | None,
    connection_id: str | None,
    plan_id: str | None,
    before: str | None,
    limit: int,
) -> list[Doc]:
    """Newest first, one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id} | ({"_id": {"$lt": before}} if before else {})
    asked = {"state": state, "targets": connection_id, "plan_id": plan_id}
    query |= {name: value for name, value in asked.items() if value is not None}
    return await db.open("publications").find(query).sort("_id", -1).limit(limit + 1).to_list()


async def change(hand: Hand, publication_id: str, changes: Doc, *, action: str = "publication.changed") -> Doc:
    """Change what was given; it is a draft again, and what waits of it is taken back. What is so already is no change;
    but to name the `assets` again is to take them as they are now.

    Raises `NotFound`, `StaleVersion`, `WrongState`, `AlreadyPublishing`, `InvalidInput`.
    """

    async def work(found: Doc, session: Session) -> Doc | None:
        given = _with_alt_texts(found, changes)
        content = {name: value for name, value in given.items() if name in CONTENT}
        await check_references(hand.db, hand.label_id, content, found, session=session)
        when = await _timing(hand.db, hand.label_id, found, given, session) if given.keys() & set(SETS_TIME) else {}
        if "assets" not in changes and all(found.get(name) == value for name, value in (content | when).items()):
            return None
        await withdraw(hand, found, session)
        told: Doc = {"state": "draft", "content_version": found["version"] + 1, "authors": with_author(hand, found)}
        told |= {"slot_key": None, "slot_id": None, "same": keys_of(found | content)}
        return content | when | told | UNAPPROVED

    async def keep(changed: Doc, session: Session) -> None:
        await _keep_version(hand, changed, session)

    if not changes:
        return await _unchanged(hand, publication_id)
    told = {"fields": ",".join(sorted(changes))}
    return await step(hand, publication_id, action, states=OPEN, work=work, after=keep, details=told)


async def _unchanged(hand: Hand, publication_id: str) -> Doc:
    """What a change without a field comes to. Raises `StaleVersion`."""
    found = await need(hand.db, hand.label_id, publication_id)
    check(found, STATES, hand.versions)
    return found


def _with_alt_texts(found: Doc, changes: Doc) -> Doc:
    """What was given, with the texts of pictures as they are stored; those of pictures that left, leave."""
    given = {name: value for name, value in changes.items() if name != "alt_text"}
    merged = found | given
    shown: list[str] = merged["assets"]
    texts: dict[str, str] = dict(merged["alt_texts"])
    if "assets" in given and "alt_texts" not in given:
        texts = {asset_id: text for asset_id, text in texts.items() if asset_id in shown}
    if "alt_text" in changes and shown:
        first = {shown[0]: changes["alt_text"]} if changes["alt_text"] else {}
        texts = {one: text for one, text in texts.items() if one != shown[0]} | first
    return given | ({"alt_texts": texts} if {"alt_text", "alt_texts", "assets"} & changes.keys() else {})


async def _timing(
    db: Database, label_id: str, found: Mapping[str, Any], given: Mapping[str, Any], session: Session | None
) -> Doc:
    plan = await plans.hold(db, label_id, {**found, **given}.get("plan_id"), session=session)
    label = await labels.need_label(db, label_id)
    return timing(found, given, plan=plan, timezone=label["timezone"])


async def _keep_version(hand: Hand, publication: Doc, session: Session) -> None:
    await hand.db.open("publication_versions").insert_one(kept_version(hand, publication), session=session)


def kept_version(hand: Hand, publication: Doc) -> Doc:
    """What is kept of a publication's content as it is now."""
    row: Doc = {"_id": new_id("pbv"), "label_id": hand.label_id, "publication_id": publication["_id"]}
    row |= {"version": publication["content_version"], "by": actor(hand.by), "at": hand.now}
    return row | {"content": {name: publication.get(name) for name in (*CONTENT, *TIMING)}}


async def page_of_versions(
    db: Database, label_id: str, publication_id: str, *, before: int | None, limit: int
) -> list[Doc]:
    """The newest first, one more than `limit` if there are more. Raises `NotFound`."""
    await need(db, label_id, publication_id)
    query: Doc = {"label_id": label_id, "publication_id": publication_id}
    query |= {"version": {"$lt": before}} if before is not None else {}
    return await db.open("publication_versions").find(query).sort("version", -1).limit(limit + 1).to_list()


async def restore(hand: Hand, publication_id: str, version: int) -> Doc:
    """Make it what it was in that version; a new version, and a draft. Raises as `change` does."""
    query = {"label_id": hand.label_id, "publication_id": publication_id, "version": version}
    row = await hand.db.open("publication_versions").find_one(query)
    if row is None:
        raise NotFound
    content: Doc = dict(row["content"])
    by_offset = content["offset"] is not None
    content.pop("time_rule")
    content.pop("local_time")
    if by_offset:
        content.pop("scheduled_at")
    return await change(hand, publication_id, content, action="publication.restored")


async def delete(hand: Hand, publication_id: str) -> None:
    """Delete it with its versions and comments. Raises `NotFound`, `StaleVersion`, `WrongState`."""

    async def all_of_it(session: Session) -> None:
        found = await need(hand.db, hand.label_id, publication_id, session=session)
        check(found, DELETABLE, hand.versions)
        if found["state"] == ACCOUNT_GONE:
            await need_closed(hand.db, found, session=session)
        await withdraw(hand, found, session)
        gone = await write_off(hand, found, session)
        await record(hand, gone, "publication.deleted", None, session)

    await hand.db.in_transaction(all_of_it)


async def write_off(hand: Hand, found: Doc, session: Session) -> Doc:
    """Take the document and all that hangs on it away, in the caller's transaction."""
    db, of_it = hand.db, {"label_id": hand.label_id, "publication_id": found["_id"]}
    await db.open("publications").delete_one({"_id": found["_id"], "label_id": hand.label_id}, session=session)
    for name in ("publication_versions", "publication_comments", "publication_targets"):
        await db.open(name).delete_many(of_it, session=session)
    return found | {"version": found["version"] + 1}
