"""The account itself: `/me`, and which webhooks it wants. Source: sections 1.1 and 2.1."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.call import BASIC, Call
from sandbox.errors import bad_parameter
from sandbox.fields import parse_fields, project
from sandbox.seed import Account, media_of

SUBSCRIBABLE = (
    "comments",
    "live_comments",
    "mentions",
    "messages",
    "message_edit",
    "message_reactions",
    "messaging_optins",
    "messaging_postbacks",
    "messaging_referral",
    "messaging_seen",
    "standby",
    "story_insights",
    "comment_poll_response",
    "follow",
    "share_to_story",
    "story_poll_response",
    "onboarding_welcome_message_series",
)


def show_account(call: Call) -> dict[str, Any]:
    """`GET /me`: who the token speaks for."""
    call.need(BASIC)
    node = account_fields(call.account) | {
        "id": call.account.scoped_id,
        "user_id": call.account.id,
        "account_type": "BUSINESS",
    }
    shown = project(node, parse_fields(call.text("fields")), "IGUser")
    return {"data": [shown]} if call.box.world.options.me_shape == "wrapped" else shown


def account_fields(account: Account) -> dict[str, Any]:
    """What both hosts show of an account."""
    return {
        "username": account.username,
        "name": account.name,
        "profile_picture_url": f"https://scontent.cdninstagram.com/v/{account.username}.jpg?oe=sandbox",
        "biography": account.biography,
        "website": f"https://{account.username}.example.test",
        "followers_count": account.followers,
        "follows_count": 120,
        "media_count": len(media_of(account)),
    }


def list_subscriptions(call: Call, node: str) -> dict[str, Any]:
    """The webhook fields of this account."""
    account = call.own(node)
    fields = call.box.world.subscriptions.get(account.id, [])
    return {"data": [{"id": call.box.settings.app_id, "subscribed_fields": fields}] if fields else []}


def subscribe(call: Call, node: str) -> dict[str, Any]:
    """Set the webhook fields of this account. One unknown field fails the whole call."""
    call.need(BASIC)
    account = call.own(node)
    fields = asked_fields(call.params, SUBSCRIBABLE)
    call.box.record("subscription_changed", account_id=account.id, fields=fields)
    return {"success": True}


def unsubscribe(call: Call, node: str) -> dict[str, Any]:
    """End the webhooks of this account."""
    account = call.own(node)
    call.box.record("subscription_changed", account_id=account.id, fields=[])
    return {"success": True}


def asked_fields(params: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    """The webhook fields that a call names. Raises code 100 for none, and for one that is not known."""
    fields = _listed(params.get("subscribed_fields", ""))
    if not fields:
        raise bad_parameter("The parameter subscribed_fields is required")
    for n, field in enumerate(fields):
        if field not in known:
            raise bad_parameter(f'Param subscribed_fields[{n}] must be one of {{{", ".join(known)}}} - got "{field}".')
    return list(dict.fromkeys(fields))


def _listed(value: Any) -> list[str]:
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad_parameter("Param subscribed_fields must be an array") from None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise bad_parameter("Param subscribed_fields must be an array")
    return [str(part).strip() for part in parts if str(part).strip()]
