"""Targets: one publication on one account. They and their operations are written together, and withdrawn together.

`working.py` is the worker's half. See docs/publishing-exactly-once.md.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.db import Database, Doc, Session
from app.errors import ConnectionNotActive
from app.ids import new_id
from app.publishing_errors import AlreadyPublishing
from app.services import operations
from app.services.assets import reading as assets
from app.services.connections import store

SNAPSHOT = (
    *("kind", "mode", "assets", "caption", "alt_texts", "first_comment", "user_tags", "collaborators", "location_id"),
    *("cover", "share_to_feed", "audio_name", "link", "late_policy", "scheduled_at", "timezone", "plan_id", "offset"),
    *("created_by", "approved_by", "approved_version", "content_version", "reveals_release", "shown"),
)
"""What of a publication a target holds, as it was when it was scheduled."""
LEAD, VIDEO_LEAD = timedelta(minutes=2), timedelta(minutes=15)
"""So long before its time a post is prepared at the provider. A prepared one lives 24 hours (meta-platform.md, 5.1)."""
PATIENCE = timedelta(minutes=1)
"""So long after its time one that has not begun is past due, and its label is told."""
WITHDRAWABLE = ("waiting", "containers", "processing", "ready", "needs_decision", "to_do", "failed", "cancelled")
"""Nothing of these has been published, and nothing is on its way to be."""
CLOSED = ("published", "failed", "cancelled")
"""Of these it is known what became of them."""


async def queue_targets(
    db: Database, publication: Doc, *, due_at: datetime, now: datetime, session: Session
) -> list[str]:
    """Write a target for each connection of the publication, and its operation; the operations' ids.

    In the caller's transaction, which must be one of `Database.in_transaction`. The same version is queued once: a
    second time raises `DuplicateKeyError`. Its files are held: none can be deleted beside it. Raises
    `ConnectionNotActive`, `AssetNotFound`, `AssetNotReady`.
    """
    cover = (publication.get("cover") or {}).get("asset_id")
    files = [*publication["assets"], *([cover] if cover else [])]
    await assets.use(db, publication["label_id"], files, now=now, session=session)
    ids = []
    for connection_id in publication["targets"]:
        key = {"_id": connection_id, "label_id": publication["label_id"]}
        connection = await db.open("connections").find_one(key, session=session)
        if connection is None or not store.is_usable(connection, "publishing"):
            raise ConnectionNotActive
        ids.append(await _queue(db, publication, connection, due_at=due_at, now=now, session=session))
    return ids


async def withdraw_targets(db: Database, publication: Doc, *, now: datetime, session: Session) -> None:
    """Cancel what waits of the publication, in the caller's transaction. Raises `AlreadyPublishing`, and then nothing
    is cancelled: a call that publishes has begun, or what it did is not known."""
    label_id = publication["label_id"]
    found = await _all_of(db, label_id, [publication["_id"]], session=session)
    if any(one["state"] not in WITHDRAWABLE or one.get("calling") for one in found):
        raise AlreadyPublishing
    for target in (one for one in found if one["state"] not in ("cancelled", "failed")):
        key = {"_id": target["_id"], "label_id": label_id}
        step = {"step": "withdraw", "at": now, "outcome": "done"}
        ended: Doc = {"$set": {"state": "cancelled"}, "$unset": {"watch_at": ""}, "$push": {"steps": step}}
        await db.open("publication_targets").update_one(key, ended, session=session)
        if target["network"] == "facebook" and (target["container"] or target["containers"]):
            await _have_cleared(db, target, now=now, session=session)
    await operations.withdraw(
        db, label_id, kind="publish", ids=[one["operation_id"] for one in found], now=now, session=session
    )


async def need_closed(db: Database, publication: Doc, *, session: Session) -> None:
    """Raise `AlreadyPublishing` unless it is known of each target that is left what became of it."""
    found = await _all_of(db, publication["label_id"], [publication["_id"]], session=session)
    if any(one["state"] not in CLOSED for one in found):
        raise AlreadyPublishing


async def _have_cleared(db: Database, target: Doc, *, now: datetime, session: Session) -> None:
    """A Page keeps what was prepared until somebody deletes it; Instagram's containers end by themselves."""
    told = {"kind": "clear_prepared", "target": target["_id"], "connection_id": target["connection_id"]}
    key = f"clear_prepared:{target['_id']}:{target['attempt']}"
    await operations.add(db, label_id=target["label_id"], **told, key=key, now=now, session=session)


async def targets_of(db: Database, label_id: str, publication_ids: Sequence[str]) -> dict[str, list[Doc]]:
    """The targets of these publications, those of the version that was queued last, in the order of the connections.

    What has never been queued has none.
    """
    grouped: dict[str, list[Doc]] = {}
    for target in await _all_of(db, label_id, publication_ids):
        grouped.setdefault(target["publication_id"], []).append(target)
    return {key: newest(targets) for key, targets in grouped.items()}


def newest(targets: Sequence[Doc]) -> list[Doc]:
    """Those of the version that was queued last."""
    version = max((target["publication_version"] for target in targets), default=0)
    return [target for target in targets if target["publication_version"] == version]


async def _all_of(
    db: Database, label_id: str, publication_ids: Sequence[str], *, session: Session | None = None
) -> list[Doc]:
    query = {"label_id": label_id, "publication_id": {"$in": list(publication_ids)}}
    order = [("publication_id", 1), ("publication_version", 1), ("connection_id", 1)]
    return await db.open("publication_targets").find(query, session=session).sort(order).to_list()


async def _queue(
    db: Database, publication: Doc, connection: Doc, *, due_at: datetime, now: datetime, session: Session
) -> str:
    target_id, version = new_id("pbt"), publication["version"]
    earlier = await _earlier(db, publication, connection["_id"], session=session)
    begin_at = due_at if publication["mode"] == "remind" else due_at - lead_of(publication["kind"])
    operation = await operations.add(
        db,
        label_id=publication["label_id"],
        kind="publish",
        target=target_id,
        key=f"publish:{publication['_id']}:{connection['_id']}:{version}",
        due_at=max(now, begin_at),
        connection_id=connection["_id"],
        now=now,
        session=session,
    )
    target: Doc = {
        "_id": target_id,
        "label_id": publication["label_id"],
        "publication_id": publication["_id"],
        "publication_version": version,
        "connection_id": connection["_id"],
        "network": connection["network"],
        "provider": connection["provider"],
        "account_id": connection["account"]["provider_id"],
        "kind": publication["kind"],
        "state": "waiting",
        "due_at": due_at,
        "snapshot": {name: publication.get(name) for name in SNAPSHOT},
        "containers": [],
        "container": None,
        "provider_id": None,
        "permalink": None,
        "first_comment": {"state": "none" if not publication.get("first_comment") else "waiting", "provider_id": None},
        "problem": None,
        "attempt": 1,
        "operation_id": operation["_id"],
        "steps": [{"step": "queue", "at": now, "outcome": "done"}],
        "started_at": None,
        "published_at": None,
        "watch_at": due_at + PATIENCE,
        "publish_until": due_at + timedelta(minutes=publication["late_policy"]["publish_within_min"]),
        "fence": 0,
        "created_at": now,
    }
    target |= {"earlier": earlier} if earlier else {}
    await db.open("publication_targets").insert_one(target, session=session)
    return str(operation["_id"])


async def _earlier(db: Database, publication: Doc, connection_id: str, *, session: Session) -> list[str]:
    """What earlier versions had prepared on this account, and was called: it is asked before this one is shown.

    Those that were cancelled before anything was done are forgotten: whoever reschedules often leaves nothing.
    """
    targets = db.open("publication_targets")
    key = {"label_id": publication["label_id"], "publication_id": publication["_id"], "connection_id": connection_id}
    nothing: Doc = {"state": "cancelled", "container": None, "containers": [], "attempt": 1}
    await targets.delete_many(key | nothing, session=session)
    called = key | {"container.called_at": {"$exists": True}}
    return [str(one["container"]["provider_id"]) async for one in targets.find(called, session=session)]


def lead_of(kind: str) -> timedelta:
    """So long before its time a post of this kind is prepared at the provider."""
    return VIDEO_LEAD if kind in ("reel", "story", "carousel", "page_post") else LEAD
