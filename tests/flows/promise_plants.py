"""Violations of promises of sections 2 to 5 of the policy: whose words they are, and whose data."""

from datetime import timedelta

from app.db import Doc
from app.ids import new_id
from tests.flows.promises_harness import DAY, WHY, Ground, plants


@plants("account-details-only")
async def more_of_an_account(on: Ground) -> None:
    """A phone number."""
    await on.change("users", on.user_id, phone="+44 20 7946 0018")


@plants("passwords-hashed")
async def password_in_md5(on: Ground) -> None:
    """A hash that is none."""
    await on.change("users", on.user_id, password_hash="5f4dcc3b5aa765d61d8327deb882cf99")


@plants("label-profile-only")
async def more_of_a_label(on: Ground) -> None:
    """What it earns."""
    await on.change("labels", on.label_id, revenue=1000)


@plants("uploads-stay-with-their-label")
async def file_elsewhere(on: Ground) -> None:
    """In another label's place."""
    await on.put("assets", label_id=on.label_id, renditions=[{"key": "labels/lbl_other/ast_1/original.jpg"}])


@plants("words-in-one-place")
async def words_in_an_event(on: Ground) -> None:
    """Of a fan."""
    ids = {"label_id": on.label_id, "key": "planted", "type": "message.received", "target": "msg_1", "at": on.now}
    await on.put("events", **ids, details={"text": "When is the vinyl back?"}, expires_at=on.now + DAY)


@plants("cards-only-at-stripe")
async def card_number(on: Ground) -> None:
    """In an order's note."""
    ids = {"label_id": on.label_id, "kind": "checkout", "expires_at": on.now + DAY}
    await on.put("billing_orders", **ids, note="paid by 4242 4242 4242 4242")


@plants("received-from-connected-accounts")
async def message_of_nobody(on: Ground) -> None:
    """Of a connection that never was."""
    await on.put("messages", **on.of_fan(connection_id="con_nobody", direction="in"))


@plants("public-profiles-only")
async def address_of_a_fan(on: Ground) -> None:
    """More than the provider shows of everybody."""
    author = {"provider_id": "9", "username": "fan", "email": "fan@example.com"}
    await on.put("comments", **on.of_fan(author=author))


@plants("granted-access-only")
async def feature_without_permission(on: Ground) -> None:
    """Comments are on, and nobody has allowed it."""
    await on.change("connections", on.connection["_id"], granted_scopes=["instagram_business_basic"])


@plants("figures-without-content")
async def caption_of_a_post(on: Ground) -> None:
    """Among the figures."""
    fields = {"product": "FEED", "posted_at": on.now, "caption": "On Friday."}
    await on.put("media", **on.of_fan(**fields))


@plants("tokens-sealed")
async def token_without_seal(on: Ground) -> None:
    """Encoded, which is not sealed."""
    envelope = {"v": 1, "key_id": "k1", "ciphertext": b"c2VjcmV0", "nonce": b"", "commitment": b"", "wrapped_key": b""}
    ids = {"label_id": on.label_id, "connection_id": on.connection["_id"], "provider": "instagram", "purpose": "other"}
    await on.put("secrets", **ids, envelope=envelope, created_at=on.now)


@plants("addresses-shortened")
async def whole_address(on: Ground) -> None:
    """Of a log-in."""
    times = {"created_at": on.now, "ends_at": on.now + DAY, "expires_at": on.now + DAY}
    await on.put("sessions", user_id=on.user_id, network="203.0.113.77", **times)


@plants("purpose-for-everything")
async def nobodys_collection(on: Ground) -> None:
    """That is not on the map."""
    await on.house.db.raw["leads"].insert_one({"email": "somebody@example.com"})
    on.undo.append(lambda: on.house.db.raw["leads"].drop())


@plants("mails-with-a-reason")
async def unknown_letter(on: Ground) -> None:
    """An advertisement that nobody has written a reason for."""
    ids = {"label_id": None, "user_id": on.user_id, "state": "sent", "expires_at": on.now + DAY}
    await on.put("mails", **ids, template="summer_sale")


@plants("work-only-for-connected-accounts")
async def work_for_the_disconnected(on: Ground) -> None:
    """A message that is still to be sent."""
    gone = await on.put(
        "connections", **on.connection | {"status": "revoked", "active_account_id": "none"} | {"_id": "con_gone"}
    )
    ids = {"label_id": on.label_id, "connection_id": gone, "kind": "send_reply", "key": "planted", "state": "queued"}
    await on.put("operations", **ids, due_at=on.now + DAY, expires_at=on.now + DAY)


@plants("support-with-a-reason")
async def endless_support(on: Ground) -> None:
    """A day instead of an hour."""
    times = {"created_at": on.now, "ends_at": on.now + DAY, "expires_at": on.now + DAY}
    await on.put("support_grants", label_id=on.label_id, user_id=on.user_id, reason="Case 1", **times)


@plants("audit-log-unchanged")
async def changed_row(on: Ground) -> None:
    """Somebody else did it."""
    row = await on.house.db.raw["audit_log"].find_one({}, comment=WHY)
    assert row is not None
    await on.change("audit_log", row["_id"], action="account.borrowed")


@plants("legal-holds-with-a-file")
async def hold_without_reason(on: Ground) -> None:
    """Kept because somebody said so."""
    await on.put("legal_holds", label_id=on.label_id, reason="", placed_at=on.now, released_at=None)


@plants("no-sale")
async def client_of_nobody(on: Ground) -> None:
    """A partner whom nobody has let in."""
    ids: Doc = {"label_id": on.label_id, "name": "Broker", "scopes": [], "meta_access": None, "secrets": []}
    await on.put("api_clients", **ids, created_by=None)


@plants("service-providers-listed")
async def unknown_provider(on: Ground) -> None:
    """Files lie with somebody who is not on the record."""
    on.set(s3_bucket="files", s3_endpoint_url="https://storage.elsewhere.example")


@plants("least-permissions")
async def more_permissions(on: Ground) -> None:
    """Asked for without a feature that needs it."""
    scopes = [*on.connection["asked_scopes"], "instagram_read_everything"]
    await on.change("connections", on.connection["_id"], asked_scopes=scopes)


@plants("official-api-only")
async def unofficial_address(on: Ground) -> None:
    """A reseller of Meta's data."""
    on.set(instagram_graph_url="https://graph.reseller.example")


@plants("explicit-authorisation")
async def token_of_the_departed(on: Ground) -> None:
    """Its connection is not there."""
    secret = await on.house.db.raw["secrets"].find_one({}, comment=WHY)
    assert secret is not None
    await on.put("secrets", **secret | {"_id": new_id("sec"), "connection_id": "con_departed"})


@plants("enabled-features-only")
async def message_of_a_feature_that_is_off(on: Ground) -> None:
    """Stored an hour after messages were switched off."""
    off: Doc = {"features": ["comments"], "active_features": ["comments"], "features_at": on.now - timedelta(hours=1)}
    await on.change("connections", on.connection["_id"], **off)
    await on.put("messages", **on.of_fan(direction="in"))


@plants("meta-data-not-shared")
async def undecided_partner(on: Ground) -> None:
    """Nobody has said why it is needed."""
    decision: Doc = {"scopes": ["inbox:read"], "reason": "", "decided_by": None, "decided_at": None}
    ids: Doc = {"label_id": on.label_id, "scopes": ["inbox:read"], "secrets": [], "created_by": on.user_id}
    await on.put("api_clients", **ids, meta_access=decision)


@plants("keys-private")
async def readable_key(on: Ground) -> None:
    """By everybody on the machine."""
    file = on.folder / "readable.json"
    file.write_text("{}")
    file.chmod(0o644)
    on.set(vault_private_ring_file=file)


@plants("secrets-never-in-clear")
async def token_in_clear(on: Ground) -> None:
    """In the result of an operation."""
    ids = {"label_id": on.label_id, "kind": "check_connection", "key": "planted", "state": "succeeded"}
    newest = new_id("op")  # samples of many have the newest for sure
    await on.put("operations", **ids, _id=newest, result={"got": "IGAA" + "x1" * 30}, expires_at=on.now + DAY)
