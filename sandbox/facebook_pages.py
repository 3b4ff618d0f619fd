"""People and Pages on graph.facebook.com: who, which Pages, their webhooks, posts, threads and figures."""

from typing import Any

from sandbox import conversations, mentions, messages
from sandbox.errors import GraphError, bad_parameter, unsupported
from sandbox.facebook_call import FacebookCall
from sandbox.facebook_comments import comment_of_page, private_reply
from sandbox.facebook_seed import POSTS, Page, fan_of_page
from sandbox.facebook_tokens import page_token
from sandbox.facebook_world import granted, linked_account, pages_of, tasks_of
from sandbox.fields import Field, page, parse_fields, project, time_text
from sandbox.page_publishing import item_node
from sandbox.profile import account_fields, asked_fields
from sandbox.seed import Account

POSTED_MS = 1_795_000_000_000
MESSAGING_FIELDS = (
    "messages",
    "messaging_postbacks",
    "message_reactions",
    "message_reads",
    "message_deliveries",
    "message_echoes",
    "message_edits",
    "messaging_referrals",
    "messaging_optins",
    "messaging_policy_enforcement",
    "standby",
    "messaging_handovers",
)
PAGE_FIELDS = (*MESSAGING_FIELDS, "feed", "mention", "ratings", "leadgen", "live_videos", "videos")
"""Source: section 2.1. `messaging_seen` is refused on a Page."""
FREE_FIELDS = frozenset({"id", "name"})
"""What a Page's own token may always read."""


def show_person(call: FacebookCall) -> dict[str, Any]:
    """Who logged in."""
    first, _, last = call.person.name.partition(" ")
    node = {"id": call.person.id, "name": call.person.name, "first_name": first, "last_name": last}
    return project(node, parse_fields(call.text("fields") or "id,name"), "User")


def list_pages(call: FacebookCall, node: str) -> dict[str, Any]:
    """`/me/accounts`: the Pages on which the person has a role, with the tokens that are asked for."""
    if call.token.kind != "user" or node != call.person.id:
        raise bad_parameter("Tried accessing nonexisting field (accounts) on node type (Page)")
    call.need("pages_show_list")
    have = granted(call.box.world, call.person.id)
    listed = [p for p in pages_of(call.box.world, call.person) if "business_management" in have or not p.in_business]
    shown, paging = page([p.id for p in listed], call.paging_params(), call.url, 100)
    wanted = parse_fields(call.text("fields") or "access_token,category,name,id,tasks")
    data = [project(page_node(call, p), wanted, "Page") for p in listed if p.id in shown]
    return {"data": data} | ({"paging": paging} if paging else {})


def show_page(call: FacebookCall, page: Page) -> dict[str, Any]:
    """One Page, with the asked-for fields."""
    call.need_page(page)
    wanted = parse_fields(call.text("fields") or "name,id")
    if call.token.kind != "page" or not {field.name for field in wanted} <= FREE_FIELDS:
        call.need("pages_read_engagement")
    return project(page_node(call, page), wanted, "Page")


def page_node(call: FacebookCall, page: Page) -> dict[str, Any]:
    """What a Page can show. Its Instagram account shows itself only with `instagram_basic`."""
    account = linked_account(call.box.world, page)
    sees = "instagram_basic" in granted(call.box.world, call.person.id)

    def instagram(field: Field) -> dict[str, Any] | None:
        return project(account_node(account), field.inner, "IGUser") if account and sees else None

    return {
        "id": page.id,
        "name": page.name,
        "category": "Record label",
        "link": f"https://www.facebook.com/{page.id}",
        "followers_count": 1200 + page.number,
        "picture": {"data": {"url": f"https://scontent.xx.fbcdn.net/v/{page.id}.jpg?oe=sandbox"}},
        "tasks": tasks_of(call.box.world, call.person, page),
        "access_token": lambda field: page_token(call, page),
        "instagram_business_account": instagram,
    }


def account_node(account: Account) -> dict[str, Any]:
    """What an Instagram account shows on this host: here its `id` is the one of webhooks."""
    return account_fields(account) | {"id": account.id}


def list_subscriptions(call: FacebookCall, page: Page) -> dict[str, Any]:
    """The webhook fields of a Page for this app."""
    call.need_page_token(page)
    call.need("pages_manage_metadata")
    fields = call.box.world.subscriptions.get(page.id, [])
    app = {"id": call.box.settings.meta_app_id, "name": "SoundOps", "subscribed_fields": fields}
    return {"data": [app] if fields else []}


def subscribe(call: FacebookCall, page: Page) -> dict[str, Any]:
    """Set the webhook fields of a Page. One unknown field fails the whole call."""
    call.need_page_token(page)
    call.need("pages_manage_metadata")
    call.need_task(page, "MANAGE", "MODERATE", "CREATE_CONTENT")
    fields = asked_fields(call.params, PAGE_FIELDS)
    if set(fields) & set(MESSAGING_FIELDS):
        call.need("pages_messaging")
    call.box.record("subscription_changed", account_id=page.id, fields=fields)
    return {"success": True}


def unsubscribe(call: FacebookCall, page: Page) -> dict[str, Any]:
    """End the webhooks of a Page."""
    call.need_page_token(page)
    call.box.record("subscription_changed", account_id=page.id, fields=[])
    return {"success": True}


def list_conversations(call: FacebookCall, page: Page) -> dict[str, Any]:
    """The Page's threads on Messenger, or those of its Instagram account."""
    call.need_page_token(page)
    if call.params.get("platform", "messenger") == "instagram":
        account = linked_account(call.box.world, page)
        if account is None:
            raise bad_parameter("The Page has no linked Instagram account")
        call.need_task(page, "MESSAGING")
        return conversations.list_conversations(call.on_account(account), account.id)
    return conversations.list_conversations(call.on_messenger(page), page.id)


def show_fan(call: FacebookCall, psid: str) -> dict[str, Any]:
    """A fan's profile on Messenger. Raises code 230 until they have written. Source: section 3.7."""
    fan, page = fan_of_page(psid) or (None, None)
    if fan is None or page is None:
        raise unsupported(call.method, psid)
    call.need_page_token(page)
    call.need("pages_messaging")
    if not any(thread.account_id == page.id and thread.fan_id == psid for thread in call.box.world.threads.values()):
        raise GraphError(230, "(#230) User consent is required to access user profile")
    first, _, last = fan.name.partition(" ")
    picture = f"https://scontent.xx.fbcdn.net/v/{fan.handle}.jpg?oe=sandbox"
    profile = {"id": psid, "first_name": first, "last_name": last, "name": fan.name, "profile_pic": picture}
    return project(profile, parse_fields(call.text("fields") or "first_name,last_name,profile_pic"), "User")


def send(call: FacebookCall, page: Page) -> dict[str, Any]:
    """Answer somebody who wrote to the Page, or a fan of the linked Instagram account: the recipient's id tells."""
    call.need_page_token(page)
    recipient = call.params.get("recipient")
    named = recipient.get("comment_id") if isinstance(recipient, dict) else None
    if of_page := comment_of_page(call.box, str(named)):
        return private_reply(call, page, of_page)
    if isinstance(recipient, dict) and fan_of_page(str(recipient.get("id", ""))):
        return messages.send(call.on_messenger(page), page.id)
    account = linked_account(call.box.world, page)
    if account is None:
        raise unsupported(call.method, page.id)
    call.need_task(page, "MESSAGING")
    return messages.send(call.on_account(account), account.id)


def list_posts(call: FacebookCall, page: Page) -> dict[str, Any]:
    """What the Page has posted."""
    call.need_page(page)
    call.need("pages_read_engagement")
    wanted = parse_fields(call.text("fields") or "id,message,created_time")
    seeded = [_post_node(key, owner) for key, owner in POSTS.items() if owner == page]
    posts = call.box.world.posted.items.values()
    own = [item_node(call, one) for one in reversed(posts) if one.account_id == page.id and one.published]
    return {"data": [project(node, wanted, "Post") for node in [*own[:100], *seeded]]}


def show_account(call: FacebookCall, node: str) -> dict[str, Any]:
    """The Instagram account behind a Page."""
    on_instagram, _ = call.instagram(node)
    if mentions.is_asked(on_instagram):
        return mentions.show(on_instagram)
    return project(account_node(on_instagram.account), parse_fields(call.text("fields")), "IGUser")


def _post_node(key: str, page: Page) -> dict[str, Any]:
    return {
        "id": key,
        "message": f"News of {page.name}.",
        "created_time": time_text(POSTED_MS),
        "from": {"id": page.id, "name": page.name},
        "permalink_url": f"https://www.facebook.com/{key}",
        "is_published": True,
    }
