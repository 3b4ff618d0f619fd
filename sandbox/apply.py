"""What each journal row does to the world: live and, in the same way, when the journal is replayed."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import fields

from sandbox.facebook_apply import FACEBOOK_CHANGES
from sandbox.journal import Row
from sandbox.posted_apply import POSTED_CHANGES, POSTED_LEDGER_KINDS
from sandbox.spotify_apply import SPOTIFY_CHANGES, SPOTIFY_LEDGER_KINDS
from sandbox.state import (
    Code,
    Comment,
    DeliveryPlan,
    Fault,
    InsightsPlan,
    Mention,
    Message,
    Options,
    Thread,
    Token,
    Webhook,
    World,
)

LEDGER_KINDS = frozenset(
    (
        "token_issued",
        "token_refreshed",
        "permissions_granted",
        "permissions_revoked",
        "subscription_changed",
        "message_sent",
        "reaction_sent",
        "sender_action",
        "comment_created",
        "comment_replied",
        "comment_hidden",
        "comment_unhidden",
        "comment_deleted",
        "comments_switched",
        "mention_answered",
        "usage_collected",
        *SPOTIFY_LEDGER_KINDS,
        *POSTED_LEDGER_KINDS,
    )
)
NOT_FOR_THE_LEDGER = frozenset({"token", "webhooks", "code", "user_token"})


def apply(world: World, row: Row) -> None:
    """Change the world as this row says, and note what it owes to the outside."""
    if row["kind"] == "reset":
        world.__dict__.update(vars(World(issued=world.issued)))
    world.seq = row["seq"]
    change = CHANGES.get(row["kind"])
    if change:
        change(world, row)
    for n, webhook in enumerate(row.get("webhooks", ())):
        key = f"{row['seq']}.{n}"
        world.outbox[key] = Webhook(key, **webhook)
    if row["kind"] in LEDGER_KINDS:
        world.ledger.append({key: value for key, value in row.items() if key not in NOT_FOR_THE_LEDGER})


def thread_id(account_id: str, fan_id: str) -> str:
    """The conversation of these two; the same for ever."""
    digest = hashlib.sha256(f"{account_id}/{fan_id}".encode()).digest()
    return "aWdfZAG06MTpJR01lc3NhZA2VUaHJlYWQ6" + urlsafe_b64encode(digest).decode().rstrip("=")


def find_thread(world: World, account_id: str, fan_id: str) -> Thread | None:
    """The thread of these two, if either has written."""
    return world.threads.get(thread_id(account_id, fan_id))


def _code_issued(world: World, row: Row) -> None:
    world.issued.append(row["code"])
    world.codes[row["code"]] = Code(row["account_id"], row["redirect_uri"], row["scopes"], row["at"])


def _token_issued(world: World, row: Row) -> None:
    if row.get("code"):
        world.codes[row["code"]].used = True
    world.issued.append(row["token"])
    world.tokens[row["token"]] = Token(
        row["token"],
        row["account_id"],
        row["scopes"],
        row["lifetime"],
        row["at"],
        row["expires_ms"],
        **({"host": row["host"], "kind": row["token_kind"], "person_id": row["person_id"]} if "host" in row else {}),
    )
    if row.get("user_token"):
        world.page_tokens[f"{row['user_token']}/{row['account_id']}"] = row["token"]


def _tokens_expired(world: World, row: Row) -> None:
    for value in row["tokens"]:
        token = world.tokens[value]
        token.expires_ms = min(token.expires_ms or row["at"], row["at"])


def _tokens_revoked(world: World, row: Row) -> None:
    for value in row["tokens"]:
        world.tokens[value].dead_subcode = row["subcode"]


def _subscription_changed(world: World, row: Row) -> None:
    world.subscriptions[row["account_id"]] = row["fields"]


def _fan_wrote(world: World, row: Row) -> None:
    thread = _add_message(world, row["message"])
    thread.last_inbound_ms = max(thread.last_inbound_ms or 0, row["message"]["sent_ms"])
    thread.elsewhere = row.get("standby", False)


def _fan_opened(world: World, row: Row) -> None:
    thread = _thread(world, row["account_id"], row["fan_id"])
    thread.last_inbound_ms = max(thread.last_inbound_ms or 0, row["sent_ms"])
    thread.updated_ms = max(thread.updated_ms, row["sent_ms"])


def _fan_blocked(world: World, row: Row) -> None:
    _thread(world, row["account_id"], row["fan_id"]).blocked = row["blocked"]


def _thread_passed(world: World, row: Row) -> None:
    _thread(world, row["account_id"], row["fan_id"]).elsewhere = row["elsewhere"]


def _message_sent(world: World, row: Row) -> None:
    message = {name: row[name] for name in ("account_id", "text", "attachments", "reply_to", "sent_ms")}
    _add_message(world, message | {"mid": row["message_id"], "fan_id": row["recipient_id"], "from_fan": False})
    if row.get("comment_id"):
        world.comments[row["comment_id"]].answered_privately = True


def _add_message(world: World, values: Row) -> Thread:
    message = Message(**values)
    world.messages[message.mid] = message
    thread = _thread(world, message.account_id, message.fan_id)
    thread.mids.append(message.mid)
    thread.updated_ms = max(thread.updated_ms, message.sent_ms)
    return thread


def _thread(world: World, account_id: str, fan_id: str) -> Thread:
    key = thread_id(account_id, fan_id)
    return world.threads.setdefault(key, Thread(key, account_id, fan_id))


def _unsent(world: World, row: Row) -> None:
    message = world.messages[row["mid"]]
    message.deleted, message.text, message.attachments = True, None, []


def _edited(world: World, row: Row) -> None:
    message = world.messages[row["mid"]]
    message.text, message.num_edit = row["text"], row["num_edit"]


def _reacted(world: World, row: Row) -> None:
    reactions = world.messages[row["mid"]].reactions
    if row["reaction"]:
        reactions[row["sender_id"]] = row["reaction"]
    else:
        reactions.pop(row["sender_id"], None)


def _commented(world: World, row: Row) -> None:
    comment = Comment(**{f.name: row[f.name] for f in fields(Comment) if f.name in row}, id=row["comment_id"])
    world.comments[comment.id] = comment
    world.comments_of.setdefault(comment.media_id, []).append(comment.id)


def _comment_hidden(world: World, row: Row) -> None:
    world.comments[row["comment_id"]].hidden = row["kind"] == "comment_hidden"


def _comment_deleted(world: World, row: Row) -> None:
    gone = {row["comment_id"]} | {c.id for c in world.comments.values() if c.parent_id == row["comment_id"]}
    for comment_id in gone:
        comment = world.comments.pop(comment_id)
        world.comments_of[comment.media_id].remove(comment_id)


def _comment_edited(world: World, row: Row) -> None:
    world.comments[row["comment_id"]].text = row["text"]


def _mentioned(world: World, row: Row) -> None:
    values = {f.name: row[f.name] for f in fields(Mention)}
    world.mentions[row["mention_id"]] = Mention(**values)


def _restricted(world: World, row: Row) -> None:
    (world.restricted.add if row["active"] else world.restricted.discard)(row["author_id"])


def _comments_switched(world: World, row: Row) -> None:
    (world.comments_off.discard if row["enabled"] else world.comments_off.add)(row["media_id"])


def _settled(world: World, row: Row) -> None:
    gone = [key for key in row["ids"] if world.outbox.pop(key, None)]
    match row["kind"]:
        case "webhooks_delivered":
            world.delivered += len(gone)
        case "webhooks_dropped":
            world.dropped += len(gone)
        case "webhooks_given_up":
            world.given_up += len(gone)


def _fault_added(world: World, row: Row) -> None:
    world.faults.append(Fault.model_validate(row["fault"]))


def _fault_used(world: World, row: Row) -> None:
    for fault in [f for f in world.faults if f.id == row["fault_id"] and f.times is not None]:
        fault.times = (fault.times or 1) - 1
        if not fault.times:
            world.faults.remove(fault)


def _faults_cleared(world: World, row: Row) -> None:
    world.faults.clear()


def _clock_set(world: World, row: Row) -> None:
    world.offset_ms = row["offset_ms"]


def _plan_set(world: World, row: Row) -> None:
    world.plan = DeliveryPlan.model_validate(row["plan"])


def _options_set(world: World, row: Row) -> None:
    world.options = Options.model_validate(row["options"])


def _insights_set(world: World, row: Row) -> None:
    world.insights = InsightsPlan(**row["plan"])


def _usage_set(world: World, row: Row) -> None:
    world.usage_headers = row["headers"]


CHANGES: dict[str, Callable[[World, Row], None]] = {
    "code_issued": _code_issued,
    "token_issued": _token_issued,
    "token_refreshed": _token_issued,
    "tokens_expired": _tokens_expired,
    "tokens_revoked": _tokens_revoked,
    "subscription_changed": _subscription_changed,
    "subscription_drifted": _subscription_changed,
    "fan_wrote": _fan_wrote,
    "fan_pressed": _fan_opened,
    "fan_blocked": _fan_blocked,
    "thread_passed": _thread_passed,
    "fan_unsent": _unsent,
    "fan_edited": _edited,
    "fan_reacted": _reacted,
    "fan_commented": _commented,
    "fan_commented_on_page": _commented,
    "fan_deleted_comment": _comment_deleted,
    "fan_edited_comment": _comment_edited,
    "fan_mentioned": _mentioned,
    "fan_restricted": _restricted,
    "message_sent": _message_sent,
    "reaction_sent": _reacted,
    "comment_created": _commented,
    "comment_replied": _commented,
    "comment_hidden": _comment_hidden,
    "comment_unhidden": _comment_hidden,
    "comment_deleted": _comment_deleted,
    "comments_switched": _comments_switched,
    "webhooks_delivered": _settled,
    "webhooks_dropped": _settled,
    "webhooks_given_up": _settled,
    "fault_added": _fault_added,
    "fault_used": _fault_used,
    "faults_cleared": _faults_cleared,
    "clock_set": _clock_set,
    "delivery_set": _plan_set,
    "options_set": _options_set,
    "usage_set": _usage_set,
    "insights_set": _insights_set,
    **SPOTIFY_CHANGES,
    **POSTED_CHANGES,
} | FACEBOOK_CHANGES
