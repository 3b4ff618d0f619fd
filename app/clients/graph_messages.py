"""Messages at Meta: sending, reactions and signs, and reading conversations back. One module for all three ways:
Instagram by its own log-in, Instagram behind a Page, and a Page's Messenger. `host` and the token tell them apart.

Every function may raise any `GraphError`. Source: meta-platform.md, sections 3.1 and 3.6 (Meta, 2026-02).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.clients import answers
from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost, need, once, retried
from app.clients.graph_errors import OutcomeUnknown
from app.clients.remote_messages import RemoteMessage, read_message
from app.models.features import UsedFor

MESSAGES: tuple[UsedFor, ...] = ("messages",)
Platform = Literal["instagram", "messenger"]
Sign = Literal["typing_on", "typing_off", "mark_seen"]
MESSAGE_FIELDS = "id,created_time,from,to,message,attachments,reactions,shares,story,is_unsupported,reply_to"
SHOWN = 20
"""Only so many messages of a conversation, its newest, have details."""
CONVERSATIONS_A_PAGE = 10


@dataclass(frozen=True)
class Sender:
    """Who calls: the account's id as usage is noted under it, its token, and the host where that is worth something."""

    host: GraphHost
    token: Opened
    account_id: str
    platform: Platform

    async def post(self, body: dict[str, Any], *, repeatable: bool) -> dict[str, Any]:
        """Call the Send API once."""
        told: dict[str, Any] = {"token": self.token, "used_for": MESSAGES, "account_id": self.account_id}
        return await once(
            self.host, "POST", self.host.address("/me/messages"), repeatable=repeatable, json=body, **told
        )

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read, more than once where nothing comes."""
        told: dict[str, Any] = {"token": self.token, "used_for": MESSAGES, "account_id": self.account_id}
        return await retried(self.host, "GET", self.host.address(path), params=params, **told)


async def send_message(
    sender: Sender, *, fan_id: str, message: dict[str, Any], reply_to: str | None, human_agent: bool, ours: str
) -> str:
    """Send one message and return Meta's id of it.

    Sending twice sends twice: after `OutcomeUnknown`, look for the echo first. On Messenger that carries `ours` back.
    """
    body: dict[str, Any] = {"recipient": {"id": fan_id}, "message": message}
    if sender.platform == "messenger":
        body |= {"messaging_type": "RESPONSE", "message": message | {"metadata": ours}}
    if reply_to:
        body["reply_to"] = {"mid": reply_to}
    if human_agent:
        body |= {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    mid = (await sender.post(body, repeatable=False)).get("message_id")
    found = answers.text(mid)
    if found is None:
        raise OutcomeUnknown
    return found


async def react(sender: Sender, *, fan_id: str, mid: str, reaction: str | None) -> None:
    """React to a message, or take it back. Done twice it is done once."""
    payload = {"message_id": mid} | ({"reaction": reaction} if reaction else {})
    action = "react" if reaction else "unreact"
    body = {"recipient": {"id": fan_id}, "sender_action": action, "payload": payload}
    await sender.post(body, repeatable=True)


async def give_sign(sender: Sender, *, fan_id: str, sign: Sign) -> None:
    """Show the fan that somebody types, or has read. Nothing else may be in the body."""
    await sender.post({"recipient": {"id": fan_id}, "sender_action": sign}, repeatable=True)


@dataclass(frozen=True)
class RemoteConversation:
    """A conversation as the Conversations API lists it."""

    id: str
    updated_at: datetime | None
    participants: tuple[tuple[str, str | None], ...]
    """Ids, each with a user name or name where there is one; the account itself is among them."""


async def conversations_since(
    sender: Sender, *, since: datetime, after: str | None
) -> tuple[list[RemoteConversation], str | None]:
    """One page of the conversations that have changed since then, and what to ask the next one with; none at the end.

    Meta gives a parameter for the time; what comes from an older version that ignores it is left out here.
    """
    params = {"platform": sender.platform, "fields": "id,updated_time,participants", "limit": str(CONVERSATIONS_A_PAGE)}
    params |= {"updated_after_ms": str(int(since.timestamp() * 1000))} | ({"after": after} if after else {})
    body = await sender.get("/me/conversations", **params)
    found = [one for row in need(answers.rows(body.get("data"))) if (one := _conversation(row))]
    paging = answers.table(body.get("paging")) or {}
    cursors = answers.table(paging.get("cursors")) or {}
    following = answers.text(cursors.get("after")) if paging.get("next") else None
    return [one for one in found if one.updated_at is None or one.updated_at >= since], following


async def newest_messages(sender: Sender, *, fan_id: str) -> list[RemoteMessage]:
    """The newest messages with this fan, those that Meta shows the details of."""
    listed = await sender.get("/me/conversations", platform=sender.platform, user_id=fan_id, fields="id")
    conversations = need(answers.rows(listed.get("data")))
    return await messages_of(sender, need(answers.identifier(conversations[0].get("id")))) if conversations else []


async def messages_of(sender: Sender, conversation_id: str) -> list[RemoteMessage]:
    """The newest messages of a conversation; those of which Meta shows no details are left out."""
    fields = f"messages.limit({SHOWN}){{{MESSAGE_FIELDS}}}"
    body = await sender.get(f"/{conversation_id}", fields=fields)
    shown = answers.rows((answers.table(body.get("messages")) or {}).get("data")) or []
    return [found for item in shown if (found := _message(item))]


def _message(item: Any) -> RemoteMessage | None:
    """The message; none for what is not as documented, which must not keep the others from being read."""
    try:
        return read_message(item)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


async def is_there(sender: Sender, mid: str) -> bool:
    """Whether Meta still shows this message. Raises `Refused` (`message_gone`) when it says that it was deleted."""
    return str((await sender.get(f"/{mid}", fields="id")).get("id")) == mid


def _conversation(row: dict[str, Any]) -> RemoteConversation | None:
    people = answers.rows((answers.table(row.get("participants")) or {}).get("data")) or []
    conversation_id, updated = answers.identifier(row.get("id")), answers.text(row.get("updated_time"))
    try:
        updated_at = datetime.strptime(updated, "%Y-%m-%dT%H:%M:%S%z") if updated else None
    except ValueError:
        updated_at = None
    known = [
        (answers.identifier(one.get("id")), answers.name(one.get("username") or one.get("name"))) for one in people
    ]
    participants = tuple((person, called) for person, called in known if person)
    return RemoteConversation(conversation_id, updated_at, participants) if conversation_id else None
