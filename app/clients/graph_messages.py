"""Messages at Meta: sending, reactions and signs, and reading conversations back. One module for all three ways:
Instagram by its own log-in, Instagram behind a Page, and a Page's Messenger. `host` and the token tell them apart.

Every function may raise any `GraphError`. Source: meta-platform.md, sections 3.1 and 3.6 (Meta, 2026-02).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost, once, retried
from app.clients.graph_errors import OutcomeUnknown
from app.clients.remote_messages import RemoteMessage, read_message
from app.models.features import UsedFor

MESSAGES: tuple[UsedFor, ...] = ("messages",)
Platform = Literal["instagram", "messenger"]
Sign = Literal["typing_on", "typing_off", "mark_seen"]
MESSAGE_FIELDS = "id,created_time,from,to,message,attachments,reactions,shares,story,is_unsupported,reply_to"
SHOWN = 20
"""Only so many messages of a conversation, its newest, have details."""
CONVERSATIONS_A_PAGE = 25


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
    if not isinstance(mid, str) or not mid:
        raise OutcomeUnknown
    return mid


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
    found = [_conversation(row) for row in body.get("data") or []]
    paging = body.get("paging") or {}
    following = (paging.get("cursors") or {}).get("after") if paging.get("next") else None
    return [one for one in found if one.updated_at is None or one.updated_at >= since], following


async def newest_messages(sender: Sender, *, fan_id: str) -> list[RemoteMessage]:
    """The newest messages with this fan, those that Meta shows the details of."""
    listed = await sender.get("/me/conversations", platform=sender.platform, user_id=fan_id, fields="id")
    conversations = listed.get("data") or []
    return await messages_of(sender, str(conversations[0]["id"])) if conversations else []


async def messages_of(sender: Sender, conversation_id: str) -> list[RemoteMessage]:
    """The newest messages of a conversation; those of which Meta shows no details are left out."""
    fields = f"messages.limit({SHOWN}){{{MESSAGE_FIELDS}}}"
    body = await sender.get(f"/{conversation_id}", fields=fields)
    shown = (body.get("messages") or {}).get("data") or []
    return [read_message(item) for item in shown if isinstance(item, dict) and item.get("from")]


async def is_there(sender: Sender, mid: str) -> bool:
    """Whether Meta still shows this message. Raises `Refused` (`message_gone`) when it says that it was deleted."""
    return str((await sender.get(f"/{mid}", fields="id")).get("id")) == mid


def _conversation(row: dict[str, Any]) -> RemoteConversation:
    people = (row.get("participants") or {}).get("data") or []
    updated = row.get("updated_time")
    return RemoteConversation(
        id=str(row["id"]),
        updated_at=datetime.strptime(updated, "%Y-%m-%dT%H:%M:%S%z") if updated else None,
        participants=tuple((str(one["id"]), one.get("username") or one.get("name")) for one in people if one.get("id")),
    )
