"""What an older release left in the database, brought to what this one expects. A step may be done again."""

from functools import partial

from app.db import ALL_LABELS, Database, Doc, Session
from app.models.policies import POLICIES, version_of
from app.services.consents import ledger

OLDER_USERS = {"password_changed_at": {"$exists": False}}
OLDER_OPT_INS = {"marketing_opt_in": {"$exists": True}}
NEVER_NOTICED = {"policy_noticed": {"$exists": False}}
OLDER_SESSIONS = {"authenticated_at": {"$exists": False}}
OLDER_CONNECTIONS = {"network": {"$exists": False}}
NEVER_LOOKED = {"check_at": {"$exists": True}, "comments_at": {"$exists": False}}
NEVER_READ = {"check_at": {"$exists": True}, "insights_at": {"$exists": False}}
OLDER_CONVERSATIONS = {"network": {"$exists": False}}
OLDER_PUBLICATIONS = {"authors": {"$exists": False}}
OLDER_ASSETS = {"held_bytes": {"$exists": False}}
OLDER_COMMENTS = {"kind": {"$exists": False}, "sent_at": {"$exists": True}}


async def upgrade(db: Database) -> None:
    """Complete what earlier releases made: accounts, whose people must log in once more, connections, what came in, and
    publications."""
    fields = {"password_changed_at": "$created_at", "email_verified_at": None}
    await db.open("users").update_many(OLDER_USERS, [{"$set": fields}])
    await db.open("sessions").delete_many(OLDER_SESSIONS)
    await _upgrade_consents(db)
    await _upgrade_connections(db)
    await _upgrade_conversations(db)
    await _upgrade_comments(db)
    await _upgrade_publications(db)


async def _upgrade_consents(db: Database) -> None:
    """What an account noted of marketing mail is a row of the ledger, without the words that were shown: nobody kept
    them. And of no policy but the first have people been told."""
    async for user in db.open("users").find(OLDER_OPT_INS):
        await db.in_transaction(partial(_move_opt_in, db, user))
    first = POLICIES[0].version
    async for user in db.open("users").find(NEVER_NOTICED, {"policy_version": 1, "created_at": 1}):
        known = version_of(POLICIES, user["policy_version"])
        told: Doc = {"version": user["policy_version"], "sha256": known.sha256 if known else None, "how": "register"}
        changes = {"policy_noticed": first, "policy_acceptances": [told | {"at": user["created_at"]}]}
        await db.open("users").update_one({"_id": user["_id"]} | NEVER_NOTICED, {"$set": changes})


async def _move_opt_in(db: Database, user: Doc, session: Session) -> None:
    moved = {"_id": user["_id"]} | OLDER_OPT_INS
    gone = await db.open("users").update_one(moved, {"$unset": {"marketing_opt_in": ""}}, session=session)
    if gone.modified_count and user["marketing_opt_in"]:
        when: Doc = {"now": user["created_at"], "session": session}
        told: Doc = {"text": None, "how": "before_ledger", "gpc": False}
        await ledger.append(db, user["_id"], "marketing_mail", "given", **told, **when)


async def _upgrade_connections(db: Database) -> None:
    """All of them were Instagram's: one log-in for one account, whose token is about to be refreshed."""
    why = f"{ALL_LABELS}the upgrade of connections"
    async for found in db.open("connections").find(OLDER_CONNECTIONS, comment=why):
        account = found["account"]
        changes = {
            "network": "instagram",
            "account": account and account | {"kind": "instagram"},
            "person_ids": found["account_ids"],
            "subscription_id": account and account["provider_id"],
            "subscribed_fields": found.get("subscribed_fields", []),
            "token_version": 1,
            "token_issued_at": found["created_at"],
            "access_ends_at": found["token_expires_at"],
            "renews": None,
            "check_at": found["created_at"],
        }
        changes |= {"refresh_at": found["created_at"]} if found["token_expires_at"] else {}
        key = {"_id": found["_id"], "label_id": found["label_id"]}
        await db.open("connections").update_one(key, {"$set": changes})
    await db.open("connections").update_many(NEVER_READ, [{"$set": {"insights_at": "$check_at"}}], comment=why)


async def _upgrade_conversations(db: Database) -> None:
    """All of them were with Instagram accounts. Their messages have no words to be found by, until they are gone."""
    why = f"{ALL_LABELS}the upgrade of conversations"
    now = {"network": "instagram", "is_unread": {"$gt": ["$unread_count", 0]}}
    await db.open("conversations").update_many(OLDER_CONVERSATIONS, [{"$set": now}], comment=why)


async def _upgrade_comments(db: Database) -> None:
    """They have a kind and a network now, and are looked at again on a schedule, which gives them their words too."""
    why = f"{ALL_LABELS}the upgrade of comments"
    await db.open("connections").update_many(NEVER_LOOKED, [{"$set": {"comments_at": "$check_at"}}], comment=why)
    older = {"kind": "comment", "network": "instagram", "version": 1, "checked_at": "$sent_at"}
    await db.open("comments").update_many(OLDER_COMMENTS, [{"$set": older}], comment=why)


async def _upgrade_publications(db: Database) -> None:
    """Of whoever wrote them the last one was known; forms of older files were counted with the files."""
    why = f"{ALL_LABELS}the upgrade of publications"
    known = {"authors": ["$edited_by"], "shown": None}
    changes: list[Doc] = [{"$set": known}, {"$unset": "edited_by"}]  # who it was is in a field that the data map knows
    await db.open("publications").update_many(OLDER_PUBLICATIONS, changes, comment=why)
    await db.open("assets").update_many(OLDER_ASSETS, {"$set": {"held_bytes": 0}}, comment=why)
