"""The calls that do good work in a world: what each operation needs beside real ids and the contract's examples."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pyotp

from app.db import Doc
from app.deps import REFRESH_COOKIE
from app.models.cookies import VISITOR_COOKIE
from app.models.receipts import Step
from app.services import single_use
from app.services.audit import SYSTEM
from app.services.connections import leaving
from app.services.labels import members
from app.services.marketing import links
from tests.api.matrix_call import Call
from tests.api.matrix_contract import Operation, example_of
from tests.api.matrix_dump import SPANS
from tests.api.matrix_press import a_post
from tests.api.matrix_side import Side
from tests.api.matrix_targets import STATES
from tests.api.matrix_world import World
from tests.house import APP_SECRET, PASSWORD, signed_request

GIVEN = {
    "password": PASSWORD,
    "provider": "instagram",
    "current_password": PASSWORD,
    "role": "agent",
    "token": "sot_none",
    "version": "1",
    "promise_id": "messages-30-days",
    "purpose": "analytics",
    "code": "K7M2Q9XW4TB6ZD3F5GH7",
}
"""What goes into bodies by its field's name, where the contract has no example or one that would not do."""


async def own_address(world: World, side: Side, call: Call) -> Call:
    """Of the side's owner."""
    return replace(call, body=call.body | {"email": side.email})


async def link_token(world: World, side: Side, call: Call) -> Call:
    """As a mail would bring it."""
    purposes: dict[str, tuple[single_use.Purpose, str]] = {
        "confirmPasswordReset": ("reset_password", side.user_ids["owner"]),
        "confirmEmailChange": ("change_email", side.user_ids["owner"]),
        "undoEmailChange": ("undo_email_change", side.user_ids["owner"]),
        "acceptInvitation": ("invitation", side.ids["invitation_id"][0]),
        "lookUpInvitation": ("invitation", side.ids["invitation_id"][0]),
        "cancelErasure": ("cancel_erasure", side.user_ids["analyst"]),
    }
    purpose, subject = purposes[call.operation.name]
    data = {"email": f"moved.{side.name}@example.com"}
    now = world.house.clock()
    token = await single_use.issue(world.house.db, purpose, subject=subject, data=data, now=now)
    return replace(call, body=call.body | {"token": token})


async def other_owners(world: World, side: Side, call: Call) -> Call:
    """The second owner owns every label of the first."""
    db = world.house.db
    query = {"user_id": side.user_ids["owner"], "role": "owner"}
    for one in await db.open("memberships").find(query, comment=SPANS).to_list():
        if await members.membership_of(db, side.user_ids["second owner"], one["label_id"]) is None:
            who, since = side.user_ids["second owner"], one["created_at"]
            second = members.new_membership(one["label_id"], who, "owner", now=since)
            await db.open("memberships").insert_one(second)
    return call


async def begun_erasure(world: World, side: Side, call: Call) -> Call:
    """Of the analyst's account, with the mail's token."""
    (await side.people["analyst"].post("/v1/me/erasure")).raise_for_status()
    return await link_token(world, side, call)


async def a_fan(world: World, side: Side, call: Call) -> Call:
    """Who has commented, named by the handle alone."""
    return replace(call, body={"handle": "fan"})


async def another_request(world: World, side: Side, call: Call) -> Call:
    """The owner's own, or the fan's that is there to be refused."""
    return replace(call, path=call.path | {"request_id": side.ids[f"{call.operation.name}.request_id"][0]})


async def an_objection(world: World, side: Side, call: Call) -> Call:
    """To be taken back."""
    (await side.owner.post("/v1/me/objections", json={"purpose": call.path["purpose"]})).raise_for_status()
    return call


async def another_password(world: World, side: Side, call: Call) -> Call:
    """The present one is none."""
    return replace(call, body=call.body | {"password": "another sentence of my own"})


async def invitation_token(world: World, side: Side, call: Call) -> Call:
    """With the account that whoever was invited makes."""
    account = example_of(call.operation.schemas["NewAccount"], call.operation.schemas, GIVEN)
    return await link_token(world, side, replace(call, body=call.body | {"account": account}))


async def own_cookie(world: World, side: Side, call: Call) -> Call:
    """Of a log-in of the owner's."""
    answer = await side.owner.post("/v1/sessions", json={"email": side.email, "password": PASSWORD})
    side.owner.cookies.clear()
    return replace(call, headers={"Cookie": f"{REFRESH_COOKIE}={answer.raise_for_status().cookies[REFRESH_COOKIE]}"})


async def app_code(world: World, side: Side, call: Call) -> Call:
    """Of an authenticator app that was just set up."""
    seed = (await side.owner.post("/v1/me/totp")).raise_for_status().json()["totp_seed"]
    return replace(call, body={"code": pyotp.TOTP(seed).at(world.house.clock())})


async def second_factor(world: World, side: Side, call: Call) -> Call:
    """With one switched on."""
    confirmed = await side.owner.post("/v1/me/totp/confirm", json=(await app_code(world, side, call)).body)
    confirmed.raise_for_status()
    return call


async def announced_end(world: World, side: Side, call: Call) -> Call:
    """Of a label that is going to be deleted."""
    (await side.owner.delete(side.path)).raise_for_status()
    return call


async def client_proof(world: World, side: Side, call: Call) -> Call:
    """By id and secret in the body, about a token of the client's own."""
    proof = {name: side.ids[name][0] for name in ("client_id", "client_secret")}
    about = side.ids.get(f"{call.operation.name}.token")
    return replace(call, body=proof | ({"token": about[0]} if about else {"grant_type": "client_credentials"}))


async def no_access_yet(world: World, side: Side, call: Call) -> Call:
    """Whoever of our support looks into the label has left."""
    (await side.owner.delete(f"{side.path}/support-access/{side.ids['grant_id'][0]}")).raise_for_status()
    return call


async def ended_connection(world: World, side: Side, call: Call) -> Call:
    """One that was disconnected, as far as that goes: nobody is at Meta's end."""
    house, place = world.house, (side.label_id, call.path["connection_id"])
    who: Doc = {"versions": None, "by": SYSTEM, "now": house.clock()}
    await leaving.disconnect(house.db, house.api.audit, *place, **who)
    record = await leaving.need_record(house.db, *place, now=house.clock())
    for step in get_args(Step):
        await leaving.note_result(house.db, record, step, result="done", detail="Done.", now=house.clock())
    await leaving.complete(house.db, house.api.audit, record, by=SYSTEM, now=house.clock())
    return call


async def signed_by_meta(world: World, side: Side, call: Call) -> Call:
    """About somebody who never was here."""
    return replace(call, body={"signed_request": signed_request(APP_SECRET, "7", at=world.house.clock())})


async def way_back(world: World, side: Side, call: Call) -> Call:
    """As Instagram sends the browser."""
    return replace(call, query={"state": side.ids["state"][0], "code": "AQD-from-instagram"})


async def of_a_choice(world: World, side: Side, call: Call) -> Call:
    """About the log-in that waits for a choice."""
    call = replace(call, path=call.path | {"connection_id": side.ids["chooseConnectionAccounts.connection_id"][0]})
    if call.body is None:
        return call
    return replace(call, body={"accounts": [{"provider_id": side.ids["provider_id"][0], "features": ["insights"]}]})


async def own_message(world: World, side: Side, call: Call) -> Call:
    """About a message to which it can be done."""
    return replace(call, path=call.path | {"message_id": side.ids[f"{call.operation.name}.message_id"][0]})


async def hidden_comment(world: World, side: Side, call: Call) -> Call:
    """What can be shown again is hidden."""
    return replace(call, path=call.path | {"comment_id": side.ids["unhideComment.comment_id"][0]})


async def own_media(world: World, side: Side, call: Call) -> Call:
    """About a media that has figures."""
    return replace(call, path=call.path | {"media_id": side.ids["getInsightMedia.media_id"][0]})


async def own_export(world: World, side: Side, call: Call) -> Call:
    """Of the owner's own data."""
    return replace(call, path=call.path | {"export_id": side.ids["my_export"][0]})


async def linked_file(world: World, side: Side, call: Call) -> Call:
    """By a link as the owner would get it."""
    found = await side.owner.get(f"/v1/me/exports/{side.ids['my_export'][0]}/download")
    return replace(call, query={"token": parse_qs(urlsplit(found.raise_for_status().json()["url"]).query)["token"][0]})


async def many_comments(world: World, side: Side, call: Call) -> Call:
    """A list of them."""
    return replace(call, body=call.body | {"ids": side.ids["comment_id"]})


def a_rule(side: Side) -> Doc:
    """One that names an account and a person wherever a rule can."""
    account = {"kind": "account", "connection_ids": side.ids["connection_id"][:1]}
    conditions = {"of": [account], "groups": [{"of": [account]}]}
    assign = {"kind": "assign", "assignee": side.ids["assignee"][0]}
    return {"name": "A rule", "when": "message", "conditions": conditions, "actions": [assign]}


async def whole_rule(world: World, side: Side, call: Call) -> Call:
    """With something at each of its places."""
    return replace(call, body=a_rule(side))


async def tried_rule(world: World, side: Side, call: Call) -> Call:
    """One that is stored, as it would be."""
    return replace(call, body={"rule_id": side.ids["rule_id"][0], "rule": a_rule(side)})


async def own_publication(world: World, side: Side, call: Call) -> Call:
    """About one with which it can be done."""
    return replace(call, path=call.path | {"publication_id": side.ids[f"{call.operation.name}.publication_id"][0]})


async def own_target(world: World, side: Side, call: Call) -> Call:
    """About one with which it can be done, or all of its publication."""
    own = {name: side.ids[f"{call.operation.name}.{name}"][0] for name in ("publication_id", "target_id")}
    return replace(call, path=call.path | {name: value for name, value in own.items() if name in call.path})


async def a_publication(world: World, side: Side, call: Call) -> Call:
    """One that names a plan and files, too."""
    return replace(call, body=a_post(side) | files_of(side) | {"plan_id": side.ids["plan_id"][0]})


async def its_files(world: World, side: Side, call: Call) -> Call:
    """Other files, and what is said of them."""
    return replace(call, body=files_of(side))


def files_of(side: Side) -> Doc:
    """A file of a publication, and what is said of it."""
    one = {"asset_id": side.ids["asset_id"][0]}
    tag = one | {"username": "mara", "x": 0.5, "y": 0.5}
    return {"assets": [one["asset_id"]], "alt_texts": [one | {"text": "A sleeve."}], "user_tags": [tag]}


async def own_operation(world: World, side: Side, call: Call) -> Call:
    """One that nobody has begun."""
    return replace(call, path=call.path | {"operation_id": side.ids["cancelOperation.operation_id"][0]})


async def of_a_slot(world: World, side: Side, call: Call) -> Call:
    """At the next time of one that is there."""
    return replace(call, body={"next_free_slot": True, "slot_id": side.ids["slot_id"][0]})


async def a_slot(world: World, side: Side, call: Call) -> Call:
    """For an account of the label's."""
    days = {"name": "Morning", "days": ["mon"], "time": "08:00"}
    return replace(call, body=days | {"connection_ids": side.ids["connection_ids"]})


async def nothing_bought(world: World, side: Side, call: Call) -> Call:
    """By a label that has no subscription."""
    of_label = {"label_id": side.label_id}
    await world.house.db.open("billing_accounts").update_one(of_label, {"$set": {"subscription": None}})
    return replace(call, body={"plan": "label_group"})


async def longer_plan(world: World, side: Side, call: Call) -> Call:
    """A change that fits, as it was shown."""
    wish = {"plan": "label_group", "interval": "year"}
    shown = {"preview_id": side.ids["preview_id"][0]} if call.operation.name == "changePlan" else {}
    return replace(call, body=wish | shown)


async def consented_visitor(world: World, side: Side, call: Call) -> Call:
    """By a browser whose visitor said yes."""
    answer = await side.nobody.post("/v1/consents", json={"analytics": True})
    side.nobody.cookies.clear()
    return replace(call, headers={"Cookie": f"{VISITOR_COOKIE}={answer.raise_for_status().cookies[VISITOR_COOKIE]}"})


async def unsubscribe_link(world: World, side: Side, call: Call) -> Call:
    """As a marketing mail to the side's owner would bring it."""
    recipient = links.Recipient(side.user_ids["owner"], "ab" * 32)
    return replace(call, path={"token": links.token_of(world.house.api.link_key, recipient)})


async def current_policy(world: World, side: Side, call: Call) -> Call:
    """The version that is current."""
    version = world.house.api.policies[-1].version
    return replace(call, path={"version": version}) if call.body is None else replace(call, body={"version": version})


READY: dict[str, Callable[[World, Side, Call], Awaitable[Call]]] = {
    "createSession": own_address,
    "getConnectionReceipt": ended_connection,
    "verifyEmail": own_address,
    "createPasswordReset": own_address,
    "confirmPasswordReset": link_token,
    "confirmEmailChange": link_token,
    "undoEmailChange": link_token,
    "acceptInvitation": invitation_token,
    "lookUpInvitation": link_token,
    "cancelErasure": begun_erasure,
    "beginErasure": other_owners,
    "eraseFan": a_fan,
    **dict.fromkeys(("getMyRequest", "refuseFanRequest"), another_request),
    "withdrawObjection": an_objection,
    "changePassword": another_password,
    "refreshSession": own_cookie,
    "confirmTotp": app_code,
    "renewRecoveryCodes": second_factor,
    "removeTotp": second_factor,
    "restoreLabel": announced_end,
    "finishLogin": way_back,
    "openSupportAccess": no_access_yet,
    "chooseConnectionAccounts": of_a_choice,
    **dict.fromkeys(("getMyExport", "downloadMyExport"), own_export),
    "getExportFile": linked_file,
    "listConnectionAccounts": of_a_choice,
    **dict.fromkeys(("reactToMessage", "takeReactionBack", "markMessageSent"), own_message),
    "receiveMetaDeauthorization": signed_by_meta,
    "receiveMetaDataDeletion": signed_by_meta,
    "unhideComment": hidden_comment,
    "getInsightMedia": own_media,
    "actOnComments": many_comments,
    "createRule": whole_rule,
    "changeRule": whole_rule,
    "testRule": tried_rule,
    **dict.fromkeys(STATES, own_target),
    **dict.fromkeys(("submitPublication", "approvePublication", "rejectPublication"), own_publication),
    **dict.fromkeys(("createPublication", "validatePublication"), a_publication),
    "changePublication": its_files,
    "cancelOperation": own_operation,
    "schedulePublication": of_a_slot,
    "createSlot": a_slot,
    "startCheckout": nothing_bought,
    **dict.fromkeys(("previewPlanChange", "changePlan"), longer_plan),
    "joinVisitorConsent": consented_visitor,
    **dict.fromkeys(("getUnsubscribePage", "unsubscribe"), unsubscribe_link),
    **dict.fromkeys(("getPolicy", "acceptPolicy"), current_policy),
    "createOauthToken": client_proof,
    "revokeOauthToken": client_proof,
    "introspectOauthToken": client_proof,
}
"""What an operation needs beside real ids and the contract's examples."""


async def good_call(world: World, side: Side, operation: Operation) -> Call:
    """A call by which `side.doer` does what the operation does; what must be there first, is made."""
    given = GIVEN | {"email": f"new.{side.name}@example.com", "slug": f"new-of-{side.name}"}
    given |= {name: values[0] for name, values in side.ids.items()}
    names = operation.parameters("path")
    call = Call(operation, {name: given[name] for name in names})
    if operation.body is not None:
        call = replace(call, body=example_of(operation.body, operation.schemas, given))
    if operation.name in READY:
        call = await READY[operation.name](world, side, call)
    return call
