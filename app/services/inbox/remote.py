"""What the Conversations API shows, as the changes that webhooks would have brought. Pure.

A message keeps the key that its webhook has: whichever comes second finds that it is known.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from app.clients.remote_messages import RemoteMessage
from app.db import Doc
from app.services.inbox.meta import Incoming, understand
from app.services.inbox.writes import Received
from app.services.webhooks.changes import message_key


def changes_of(
    connection: Doc, fan_id: str, shown: Collection[RemoteMessage], *, known: Collection[str], key: bytes, now: datetime
) -> list[Received]:
    """What is new in a conversation of this fan's: of the messages that are not known, the messages and reactions.

    Known ones stay as they are: they have Meta's own times, and perhaps an unsend that must not be undone. A fan's
    message that the account has answered since counts as read.
    """
    answered = max((one.created_at for one in shown if one.from_id != fan_id), default=None)
    found: list[Received] = []
    for remote in shown:
        if remote.mid in known or not _is_between(remote, connection, fan_id):
            continue
        incoming = _incoming(remote, connection, fan_id, now)
        if incoming is None:
            continue
        seen = answered is not None and incoming.at <= answered
        named = message_key(connection["active_account_id"], remote.mid, network=connection["network"], key=key)
        found.append(Received(named, connection, incoming, seen=seen))
        for number, one in _reactions(remote, incoming):
            found.append(Received(f"repair:{remote.mid}:{number}", connection, one, seen=seen))
    return [one for one in found if one.expires_at > now]


def unsend_of(connection: Doc, fan_id: str, mid: str, *, outgoing: bool, key: bytes, now: datetime) -> Received:
    """The unsend of a message that Meta does not have any more; nobody knows when it was, so it is now."""
    named = message_key(connection["active_account_id"], mid, network=connection["network"], key=key, unsent=True)
    incoming = Incoming("unsend", now, fan_id=fan_id, provider_id=mid, outgoing=outgoing)
    return Received(named, connection, incoming)


def _is_between(remote: RemoteMessage, connection: Doc, fan_id: str) -> bool:
    """Whether it is between the account and this fan; direction is by who wrote it."""
    return remote.from_id == fan_id or remote.from_id in connection["account_ids"]


def _incoming(remote: RemoteMessage, connection: Doc, fan_id: str, now: datetime) -> Incoming | None:
    """The message in the form of a webhook, understood as one."""
    out = remote.from_id != fan_id
    account_id = connection["active_account_id"]
    part: Doc = {"mid": remote.mid, "is_echo": out, "is_unsupported": remote.unsupported}
    part |= {"text": remote.text} if remote.text else {}
    part["attachments"] = [{"type": one["type"], "payload": {"url": one.get("url")}} for one in remote.attachments]
    part |= {"reply_to": remote.reply_to} if remote.reply_to else {}
    sender, recipient = (account_id, fan_id) if out else (fan_id, account_id)
    item = {"sender": {"id": sender}, "recipient": {"id": recipient}, "message": part}
    at = min(remote.created_at, now)
    found = understand("messaging", item, account_ids=set(connection["account_ids"]), at=at)
    return found if isinstance(found, Incoming) else None


def _reactions(remote: RemoteMessage, message: Incoming) -> Iterable[tuple[int, Incoming]]:
    """As old as the message: what is heard of them by webhook is newer, and wins."""
    for number, (who, how) in enumerate(remote.reactions):
        content = {"emoji": None, "name": how} if how.isascii() else {"emoji": how, "name": None}
        yield (
            number,
            Incoming(
                "reaction",
                message.at,
                fan_id=message.fan_id,
                provider_id=remote.mid,
                outgoing=who != message.fan_id,
                content=content,
            ),
        )
