"""The account itself: `/me`, and which webhooks it wants. Source: sections 1.1 and 2.1."""

import json
from typing import Any

from sandbox.call import BASIC, Call
from sandbox.errors import bad_parameter
from sandbox.fields import parse_fields, project
from sandbox.seed import media_of

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
    account = call.account
    node = {
        "id": account.scoped_id,
        "user_id": account.id,
        "username": account.username,
        "name": account.name,
        "account_type": "BUSINESS",
        "profile_picture_url": f"https://scontent.cdninstagram.com/v/{account.username}.jpg?oe=sandbox",
        "biography": account.biography,
        "website": f"https://{account.username}.example.test",
        "followers_count": account.followers,
        "follows_count": 120,
        "media_count": len(media_of(account)),
    }
    shown = project(node, parse_fields(call.text("fields")), "IGUser")
    return {"data": [shown]} if call.box.world.options.me_shape == "wrapped" else shown


def list_subscriptions(call: Call, node: str) -> dict[str, Any]:
    """The webhook fields of this account."""
    account = call.own(node)
    fields = call.box.world.subscriptions.get(account.id, [])
    return {"data": [{"id": call.box.settings.app_id, "subscribed_fields": fields}] if fields else []}


def subscribe(call: Call, node: str) -> dict[str, Any]:
    """Set the webhook fields of this account. One unknown field fails the whole call."""
    call.need(BASIC)
    account = call.own(node)
    fields = _asked_fields(call)
    if not fields:
        raise bad_parameter("The parameter subscribed_fields is required")
    for n, field in enumerate(fields):
        if field not in SUBSCRIBABLE:
            raise bad_parameter(
                f'Param subscribed_fields[{n}] must be one of {{{", ".join(SUBSCRIBABLE)}}} - got "{field}".'
            )
    call.box.record("subscription_changed", account_id=account.id, fields=list(dict.fromkeys(fields)))
    return {"success": True}


def unsubscribe(call: Call, node: str) -> dict[str, Any]:
    """End the webhooks of this account."""
    account = call.own(node)
    call.box.record("subscription_changed", account_id=account.id, fields=[])
    return {"success": True}


def _asked_fields(call: Call) -> list[str]:
    value = call.params.get("subscribed_fields", "")
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad_parameter("Param subscribed_fields must be an array") from None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise bad_parameter("Param subscribed_fields must be an array")
    return [str(part).strip() for part in parts if str(part).strip()]
