"""Fans' profiles on Meta's hosts. Every function may raise any error of `graph_errors`."""

from dataclasses import dataclass
from typing import Any, Literal

from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost, retried
from app.clients.graph_messages import MESSAGES

FIELDS: dict[str, str] = {"instagram": "name,username,profile_pic", "facebook": "first_name,last_name,profile_pic"}
LONGEST = 300


@dataclass(frozen=True)
class Profile:
    """What Meta tells of a fan who wrote; each may be missing. The picture's address ends after some days."""

    name: str | None
    username: str | None
    picture_url: str | None


async def fan_profile(
    host: GraphHost, token: Opened, *, account_id: str, fan_id: str, network: Literal["instagram", "facebook"]
) -> Profile:
    """The profile of a fan who has written to the account. Without their consent Meta refuses (230, 9010).

    Source: meta-platform.md, section 3.7.
    """
    told: dict[str, Any] = {"token": token, "used_for": MESSAGES, "account_id": account_id}
    body = await retried(host, "GET", host.address(f"/{fan_id}"), **told, params={"fields": FIELDS[network]})
    names = [part for name in ("first_name", "last_name") if (part := _text(body, name))]
    name = _text(body, "name") or " ".join(names) or None
    return Profile(name, _text(body, "username"), _text(body, "profile_pic", longest=4_000))


def _text(body: dict[str, Any], name: str, *, longest: int = LONGEST) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= longest else None
