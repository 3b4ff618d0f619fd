"""One of everything in a label, made through the API and what Meta delivers; and ids that never existed.

`MAKERS` is the table of makers: a kind of id without a row there, and not in `PLAIN`, fails the cross-label test.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import get_args
from urllib.parse import parse_qs, urlsplit

from ulid import ULID

from app.db import Doc
from app.ids import Prefix, new_id
from app.models.access import META_SCOPES, Role, Scope
from app.services import operations as work
from app.services.privacy import fan_requests
from tests.api.matrix_exports import make_exports
from tests.api.matrix_press import (
    make_insight_media,
    make_plans,
    make_post_comments,
    make_post_targets,
    make_posts,
    make_press,
    make_slots,
)
from tests.api.matrix_side import Side
from tests.api.matrix_targets import STATES
from tests.api.matrix_till import make_money, make_orders
from tests.api.partners_harness import another_client
from tests.api.people import join
from tests.api.test_api_support import enter, staff
from tests.flows.assets_harness import jpeg
from tests.house import PASSWORD, House, delivery, message_change, paying
from workers import jobs, rules


async def make_labels(house: House, side: Side) -> list[str]:
    """The label, and a second one, so that the list goes on."""
    return [side.label_id, await house.label(side.owner, f"second-of-{side.name}")]


async def make_members(house: House, side: Side) -> list[str]:
    """Somebody of each role, and a second owner; the first is one whom an admin may change."""
    for name, role in {"second owner": "owner", **{role: role for role in get_args(Role) if role != "owner"}}.items():
        email = f"{name.replace(' ', '.')}.{side.name}@example.com"
        side.people[name] = await join(house, email, side.label_id, role)
    side.people["owner"] = side.owner
    for name, person in (*side.people.items(), ("staff", side.staff)):
        side.user_ids[name] = (await person.get("/v1/me")).json()["id"]
    members = {member["user_id"]: member["id"] for member in await side.listed("/members")}
    return [members[side.user_ids[name]] for name in ("analyst", "agent", "owner")]


async def make_user_ids(house: House, side: Side) -> list[str]:
    """The accounts of people of the label."""
    return [side.user_ids["agent"], side.user_ids["owner"]]


async def make_sessions(house: House, side: Side) -> list[str]:
    """The owner's: a second one, and the one in use."""
    await house.http.post("/v1/sessions", json={"email": side.email, "password": PASSWORD})
    house.http.cookies.clear()
    shown = (await side.owner.get("/v1/sessions")).json()["data"]
    return [one["id"] for one in sorted(shown, key=lambda one: bool(one["current"]))]


async def make_grants(house: House, side: Side) -> list[str]:
    """Our support's access: the one that lasts, and one that has ended."""
    ended = (await enter(side.staff, side.label_id)).raise_for_status().json()["id"]
    (await side.owner.delete(f"{side.path}/support-access/{ended}")).raise_for_status()
    return [(await enter(side.staff, side.label_id)).raise_for_status().json()["id"], ended]


async def make_invitations(house: House, side: Side) -> list[str]:
    """Two that wait for their answer."""
    wishes = [{"email": f"guest{n}.{side.name}@example.com", "role": "agent"} for n in range(2)]
    made = [await side.owner.post(f"{side.path}/invitations", json=wish) for wish in wishes]
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_connections(house: House, side: Side) -> list[str]:
    """One in use, one whose log-in at Instagram is under way, and one of Facebook's that waits for a choice."""
    active = await house.connection(side.label_id, side.account)
    wish = {"provider": "instagram", "features": ["messages"]}
    begun = (await side.owner.post(f"{side.path}/connections", json=wish)).raise_for_status().json()
    side.ids["state"] = parse_qs(urlsplit(begun["authorize_url"]).query)["state"]
    chooses = await house.connection(side.label_id, f"1000000000000{side.account[-2:]}", **choosing(side))
    side.ids["provider_id"] = [one["provider_id"] for one in chooses["choices"]]
    side.ids["chooseConnectionAccounts.connection_id"] = [chooses["_id"]]
    return [active["_id"], begun["id"], chooses["_id"]]


def choosing(side: Side) -> Doc:
    """A log-in with Facebook that has led to two Pages, whose ids are this side's alone."""
    page: Doc = {"kind": "page", "name": "Page", "username": None, "picture_url": None, "tasks": []}
    ids = [f"20000000000{number}{side.account[-2:]}" for number in range(2)]
    choices = [page | {"provider_id": one, "page_id": one} for one in ids]
    nobody: Doc = {"account_ids": [], "active_account_id": None, "active_features": []}
    pending = {"status": "pending", "step": "choose_accounts", "provider": "facebook", "network": None}
    return nobody | pending | {"choices": choices, "features": ["insights"], "_id": new_id("con")}


async def make_requests(house: House, side: Side) -> list[str]:
    """The owner's: that the use of their data be restricted, and that it be not."""
    (await side.owner.post("/v1/me/restriction")).raise_for_status()
    (await side.owner.delete("/v1/me/restriction")).raise_for_status()
    shown = (await side.owner.get("/v1/me/requests")).raise_for_status().json()["data"]
    return [one["id"] for one in shown]


async def make_fan_requests(house: House, side: Side) -> list[str]:
    """Of two fans whom our desk has heard of, which nobody has decided on; the second is there to be refused."""
    fans = [fan_requests.Fan(f"9{side.account[-6:]}{number}", None) for number in range(2)]
    db, log, now = house.db, house.api.audit, house.clock()
    made = [(await fan_requests.ask_label(db, log, side.label_id, fan, now=now))["_id"] for fan in fans]
    side.ids["refuseFanRequest.request_id"] = made[1:]
    return made


async def make_clients(house: House, side: Side) -> list[str]:
    """Two API clients with every scope, whose owner has decided on Meta's data; the first with a token in use."""
    made = [await another_client(house, side.owner, side.label_id, *get_args(Scope)) for _ in range(2)]
    await made[0].decide(*META_SCOPES)
    side.ids["secret_id"] = [made[0].client["secrets"][0]["id"]]
    side.ids["client_secret"] = [made[0].client["client_secret"]]
    side.ids["revokeOauthToken.token"] = side.ids["introspectOauthToken.token"] = [await made[0].token()]
    return [partner.client["id"] for partner in made]


async def made_orders(house: House, side: Side) -> list[str]:
    """The price that was asked for, as an order names it."""
    return side.ids["order_id"][:1]


async def made_before(house: House, side: Side) -> list[str]:
    """What came with another row."""
    return []


async def make_conversations(house: House, side: Side) -> list[str]:
    """Two fans write, one of them twice, and two comment."""
    writers = ("1", "1", "2")
    items = [
        message_change(f"m_{side.name}{n}", ms=house.ms(timedelta(minutes=9 - n)), fan=f"90000000{side.name}{fan}")
        for n, fan in enumerate(writers)
    ]
    entry = {"id": side.account, "time": house.ms() // 1000}
    comments = [
        {
            "field": "comments",
            "value": {
                "id": f"1790000000{side.name}{n}",
                "text": "Love it",
                "from": {"id": f"90000000{side.name}{n}", "username": "fan"},
                "media": {"id": f"1800000000{side.name}", "media_product_type": "FEED"},
            },
        }
        for n in range(3)
    ]
    for body in (
        delivery(*items, account=side.account),
        {"object": "instagram", "entry": [entry | {"changes": comments}]},
    ):
        (await house.deliver(body)).raise_for_status()
    await jobs.drain_waiting(house.worker)
    found = await side.listed("/conversations")
    return [one["id"] for one in sorted(found, key=lambda one: str(one["participant"]["provider_id"]))]


async def make_operations(house: House, side: Side) -> list[str]:
    """A reply that failed, so that it can be begun anew; and one of the owner's account, which is no label's."""
    conversation = side.ids["conversation_id"][0]
    path = f"{side.path}/conversations/{conversation}/messages"
    sent = (await side.owner.post(path, json={"text": "On Friday."})).raise_for_status().json()
    claimed = await work.claim(house.db, sent["operation_id"], lease=timedelta(seconds=45), now=house.clock())
    assert claimed is not None
    await work.fail(house.db, claimed, code="refused_by_provider", detail="No.", now=house.clock())
    mails = house.db.open("mails").find({"label_id": None, "user_id": side.user_ids["owner"]})
    mail = (await mails.to_list())[0]
    of_account = await house.db.open("operations").find_one({"label_id": None, "target": mail["_id"]})
    assert of_account is not None
    return [sent["operation_id"], of_account["_id"]]


async def make_messages(house: House, side: Side) -> list[str]:
    """What a fan wrote, and what the label answered."""
    return [one["id"] for one in await side.listed(f"/conversations/{side.ids['conversation_id'][0]}/messages")]


async def make_inbound(house: House, side: Side) -> list[str]:
    """What a fan wrote, which can be reacted to."""
    found = await side.listed(f"/conversations/{side.ids['conversation_id'][0]}/messages")
    return [one["id"] for one in found if one["direction"] == "in"]


async def make_doubtful(house: House, side: Side) -> list[str]:
    """A reply of which it stays unknown whether it went out."""
    path = f"{side.path}/conversations/{side.ids['conversation_id'][0]}/messages"
    sent = (await side.owner.post(path, json={"text": "In doubt."})).raise_for_status().json()
    claimed = await work.claim(house.db, sent["operation_id"], lease=timedelta(seconds=45), now=house.clock())
    assert claimed is not None
    await work.leave_in_doubt(house.db, claimed, reason="Lost.", look_at=None, now=house.clock())
    key = {"_id": sent["id"], "label_id": side.label_id}
    await house.db.open("messages").update_one(key, {"$set": {"state": "unknown", "calling_at": house.clock()}})
    return [sent["id"]]


async def make_waiting(house: House, side: Side) -> list[str]:
    """The operation of a reply that nobody has begun to send."""
    path = f"{side.path}/conversations/{side.ids['conversation_id'][0]}/messages"
    return [(await side.owner.post(path, json={"text": "On Saturday."})).raise_for_status().json()["operation_id"]]


async def make_reply_targets(house: House, side: Side) -> list[str]:
    """The provider's id of what a fan wrote."""
    found = await side.listed(f"/conversations/{side.ids['conversation_id'][0]}/messages")
    return [one["provider_id"] for one in found if one["provider_id"]]


async def make_notes(house: House, side: Side) -> list[str]:
    """Two notes about the first conversation."""
    path = f"{side.path}/conversations/{side.ids['conversation_id'][0]}/notes"
    made = [await side.owner.post(path, json={"text": f"note {n}"}) for n in range(2)]
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_saved_replies(house: House, side: Side) -> list[str]:
    """Two saved replies."""
    made = [
        await side.owner.post(
            f"{side.path}/saved-replies", json={"name": f"Reply {n}", "text": "Hi {{fan.name|there}}"}
        )
        for n in range(2)
    ]
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_comments(house: House, side: Side) -> list[str]:
    """Two comments, each of which was flagged once; and one that is hidden, as Meta has told."""
    *found, hidden = [one["id"] for one in await side.listed("/comments")]
    for one in found:
        (await side.owner.patch(f"{side.path}/comments/{one}", json={"flagged": True})).raise_for_status()
    key = {"_id": hidden, "label_id": side.label_id}
    await house.db.open("comments").update_one(key, {"$set": {"status": "hidden"}})
    side.ids["unhideComment.comment_id"] = [hidden]
    return found


async def make_media(house: House, side: Side) -> list[str]:
    """The provider's id of what was commented on."""
    return [one["media"]["provider_id"] for one in await side.listed("/comments")][:1]


async def make_rules(house: House, side: Side) -> list[str]:
    """Two rules; the first has acted twice."""
    wish = {"name": "A rule", "when": "message", "actions": [{"kind": "notify"}]}
    made = [await side.owner.post(f"{side.path}/rules", json=wish) for _ in range(2)]
    told: Doc = {"ms": house.ms(), "fan": f"90000000{side.name}2", "account": side.account}
    items = [message_change(f"m_{side.name}_rule{n}", **told) for n in range(2)]
    (await house.deliver(delivery(*items, account=side.account))).raise_for_status()
    await jobs.drain_waiting(house.worker)
    await rules.look_after(house.worker)
    return [answer.raise_for_status().json()["id"] for answer in made]


async def make_assets(house: House, side: Side) -> list[str]:
    """Two files: one that is ready, and one that waits for its upload."""
    body = {"name": "A sleeve", "content_type": "image/jpeg"}
    made = [(await side.owner.post(f"{side.path}/assets", json=body)).raise_for_status().json() for _ in range(2)]
    upload = made[0]["upload"]
    file = {"file": ("sleeve.jpg", jpeg(), "image/jpeg")}
    (await side.nobody.post(upload["url"], data=upload["fields"], files=file)).raise_for_status()
    done = (await side.owner.post(f"{side.path}/assets/{made[0]['id']}/complete")).raise_for_status().json()
    await jobs.run_operation({"parts": house.worker}, done["operation_id"])
    return [one["id"] for one in made]


async def make_connection_lists(house: House, side: Side) -> list[str]:
    """Ids of connections, where several may stand."""
    return side.ids["connection_id"][:1]


Maker = Callable[[House, Side], Awaitable[list[str]]]
MAKERS: dict[str, Maker] = {
    "label_id": make_labels,
    "member_id": make_members,
    "assignee": make_user_ids,
    "actor": make_user_ids,
    "grant_id": make_grants,
    "session_id": make_sessions,
    "invitation_id": make_invitations,
    "connection_id": make_connections,
    "state": made_before,
    "client_id": make_clients,
    "secret_id": made_before,
    "revokeOauthToken.token": made_before,
    "introspectOauthToken.token": made_before,
    "conversation_id": make_conversations,
    "operation_id": make_operations,
    "message_id": make_messages,
    "reactToMessage.message_id": make_inbound,
    "takeReactionBack.message_id": make_inbound,
    "markMessageSent.message_id": make_doubtful,
    "reply_to": make_reply_targets,
    "note_id": make_notes,
    "saved_reply_id": make_saved_replies,
    "comment_id": make_comments,
    "media_id": make_media,
    "ids": make_comments,
    "unhideComment.comment_id": made_before,
    "rule_id": make_rules,
    "asset_id": make_assets,
    "getInsightMedia.media_id": make_insight_media,
    "connection_ids": make_connection_lists,
    "targets": make_press,
    "plan_id": make_plans,
    "publication_id": make_posts,
    **dict.fromkeys((f"{name}Publication.publication_id" for name in ("submit", "approve", "reject")), made_before),
    "publication_comment_id": make_post_comments,
    "target_id": make_post_targets,
    **dict.fromkeys((f"{name}.{part}" for name in STATES for part in ("publication_id", "target_id")), made_before),
    "slot_id": make_slots,
    "cancelOperation.operation_id": make_waiting,
    "order_id": make_orders,
    "invoice_id": make_money,
    "payment_id": made_before,
    "preview_id": made_orders,
    "provider_id": made_before,
    "chooseConnectionAccounts.connection_id": made_before,
    "getMyRequest.request_id": make_requests,
    "request_id": make_fan_requests,
    "refuseFanRequest.request_id": made_before,
    "export_id": make_exports,
    "getMyExport.export_id": made_before,
    "downloadMyExport.export_id": made_before,
}
"""A row for each kind of id, in an order in which they can be made; `operation.field` where a name means another."""
PLAIN: dict[str, str] = {
    **dict.fromkeys(
        ("name", "text", "alt_text", "tags", "tag", "q", "timezone", "country", "policy_version", "metrics"),
        "words of the caller's own",
    ),
    **dict.fromkeys(("words", "pattern", "hosts", "handles", "languages", "starts", "ends"), "what a rule looks for"),
    **dict.fromkeys(("primary_colour", "secondary_colour", "logo_url", "return_to"), "a look, or an address"),
    **dict.fromkeys(("password", "current_password", "totp", "client_secret"), "a secret: who has it is its owner"),
    **dict.fromkeys(("token", "code"), "a secret that a mail, an app or Instagram gave to whom it is for"),
    **dict.fromkeys(("reason", "action", "grant_type", "scope", "token_type_hint"), "words about what is done"),
    **dict.fromkeys(("title", "payload", "emoji"), "words of the caller's own, or one emoji"),
    **dict.fromkeys(("caption", "alt_text", "first_comment", "comment", "csv"), "words of the caller's own"),
    **dict.fromkeys(("username", "collaborators", "location_id", "audio_name"), "what Meta knows by these words"),
    **dict.fromkeys(("version", "analytics", "marketing_mail"), "a published version of a text, the same for all"),
    "promise_id": "an entry of a public list",
    **dict.fromkeys(("local_time", "time", "timezones", "link"), "a time, a zone or an address"),
    "assets": "files of the label: tests/api/test_api_publications.py refuses others",
    "permalink": "an address, shown as it is",
    "handle": "a name at a provider: who has it is looked for in the caller's label alone",
    "url": "an address that Meta fetches: tests/unit/test_unit_outgoing.py",
    "q": "words that are looked for",
    "error": "Instagram's word for a no",
    "email": "an address: that known ones are answered as unknown ones are has tests of its own",
    "slug": "a name in a space that all labels share, where each is told what is taken",
    **dict.fromkeys(("line1", "line2", "city", "postal_code", "value"), "whom invoices name"),
    "cursor": "tried by test_cursors_of_another_label",
    **dict.fromkeys(("hub.mode", "hub.verify_token", "hub.challenge"), "Meta's handshake"),
    "last_event_id": "a place in a label's stream: tests/api/test_api_stream.py has another label's",
    "signed_request": "Meta's word about a person, by its signature",
}
"""What is no id, and why."""


def never(real: str) -> str:
    """An id of the same form that never existed."""
    prefix, _, body = real.partition("_")
    if body and prefix in get_args(Prefix):
        return f"{prefix}_{str(ULID()).lower()}"
    return secrets.token_hex(len(real))[: len(real)]


async def make_side(house: House, name: str, account: str) -> Side:
    """A label with one of everything, and its people, whose addresses are confirmed."""
    owner = await house.person(f"owner.{name}@example.com")
    support = await staff(house, f"support.{name}@example.com")
    side = Side(name, account, owner, support, house.http, await house.label(owner, f"label-{name}"))
    await house.db.open("billing_accounts").insert_one(paying(side.label_id, "label_group", house.clock()))
    for kind, make in MAKERS.items():
        side.ids[kind] = side.ids.get(kind) or await make(house, side)
    (await owner.put("/v1/me/consents", json={"analytics": True, "marketing_mail": True})).raise_for_status()
    verified = {"$set": {"email_verified_at": house.clock()}}
    await house.db.open("users").update_many({"_id": {"$in": list(side.user_ids.values())}}, verified)
    return side
