"""The data map: what is not on it cannot be opened, and what is on it is kept as it says."""

import re

import pytest
from pymongo.errors import CollectionInvalid

from app.db import Database, Doc, Session, Unmapped, create_indexes, wrong_indexes
from app.models.data_map import DATA_MAP, EXPIRING, Collection, Index

ACROSS_LABELS = {
    ("memberships", "user_id_1"): "a person's own labels",
    ("disconnections", "completed_at_1"): "which disconnects have been under way for long, whoever's",
    ("mails", "to_key_1"): "mails to the address of somebody who is erased",
    ("invitations", "email_key_1"): "invitations of somebody who is erased",
    ("privacy_requests", "user_id_1"): "a person's own requests, in any label",
    ("privacy_requests", "closed_at_1"): "which requests are open, whoever's",
    ("privacy_requests", "code_1"): "a request by the code that its person was given",
    ("privacy_requests", "remind_at_1"): "of which requests somebody must be reminded, whoever's",
    ("connections", "account_ids_1"): "whose account a webhook is about",
    ("connections", "person_ids_1"): "whose connections a provider's callback is about",
    ("connections", "subscription_id_1"): "who else receives by a subscription at a provider",
    ("connections", "refresh_at_1"): "which tokens are due to be refreshed, whoever's",
    ("connections", "warn_at_1"): "whose access is about to end",
    ("connections", "check_at_1"): "which connections are due to be looked at",
    ("connections", "former_person_ids_1"): "whose former log-ins a person's leaving is about",
    ("connections", "repair_at_1"): "whose gaps are due to be looked for",
    ("connections", "comments_at_1"): "whose comments are due to be looked at again",
    ("connections", "insights_at_1"): "whose insights are due to be read",
    ("connections", "abandon_at_1"): "which log-ins nobody finished",
    ("conversations", "recount_at_1"): "which unread counts are due, whoever's",
    ("conversations", "wake_at_1"): "which snoozed conversations are due, whoever's",
    ("conversations", "profile_due_at_1"): "which fans' profiles are due to be fetched, whoever's",
    ("conversations", "participant.provider_id_1"): "what there is of fans whose accounts Meta has deleted",
    ("comments", "author.provider_id_1"): "what there is of fans whose accounts Meta has deleted",
    ("publication_targets", "watch_at_1"): "which posts are past due, whoever's",
    ("billing_accounts", "customer_id_1"): "whose customer an event of Stripe's is about",
    ("billing_accounts", "look_at_1"): "which customers are due to be looked at, whoever's",
    ("money_records", "purge_at_1"): "which records of money no law asks for any more, whoever's",
    ("money_records", "provider_id_1"): "whose record an event of Stripe's is about",
    ("exports", "user_id_1"): "the exports that a person has asked for, in any label",
    ("exports", "look_at_1"): "whose exports have ended, whoever's",
    ("operations", "due_at_1"): "the workers' due list",
    ("events", "unplaced_1"): "which events a dead process left without a place, whoever's",
    ("secrets", "envelope.key_id_1"): "what a key seals, whoever's",
    ("secrets", "earlier_keys_1"): "what a key has sealed, whoever's",
    ("secrets", "revoked_keys_1"): "what a revoked key could have opened, whoever's",
}
"""Indexes of label-owned collections that do not begin with `label_id`, and why."""
FOREVER = {"users", "second_factors", "labels", "memberships", "api_clients", "secrets"}
FOREVER |= {"vault_keys", "rules", "rule_cursors", "stream_heads", "saved_replies", "publication_targets"}
FOREVER |= {"publications", "publication_versions", "publication_comments", "slots", "release_plans"}
FOREVER |= {"service_state", "asset_usage", "billing_accounts", "stripe_cursors"}
FOREVER |= {"money_records", "money_parties", "legal_holds", "promise_checks", "attestations"}
FOREVER |= {"restrictions", "suppressions", "usage_months"}
"""What lasts as long as the account, the label or the connection, or the service itself; or as the law asks, which is
purged with an eye on legal holds."""
PASSING = {"webhook_inbox", "parked_changes"}
"""What is on its way to where an export finds it, or belongs to nobody we know."""
ALL = [(collection, index) for collection in DATA_MAP.values() for index in collection.indexes]


@pytest.mark.parametrize("name", sorted(DATA_MAP))
async def test_every_mapped_collection_opens(fresh_mongodb_url: str, name: str) -> None:
    """And only under its own name."""
    db = Database(fresh_mongodb_url)
    assert db.open(name).name == name
    for other in (f"{name}2", name.upper(), f"{name}.x"):
        with pytest.raises(Unmapped):
            db.open(other)
    db.close()


@pytest.mark.parametrize(("collection", "index"), ALL, ids=lambda part: part.name)
def test_indexes_begin_with_the_label(collection: Collection, index: Index) -> None:
    """Of what belongs to a label: it is the shard key. The others are named here, with their reason."""
    if collection.tenant and not index.ttl and index.keys[0][0] != "label_id":
        assert len(index.keys) == 1 and not index.unique
        assert (collection.name, index.name) in ACROSS_LABELS


def test_no_reason_is_left_over() -> None:
    """A justified index that is gone is justified no more."""
    assert ACROSS_LABELS.keys() <= {(collection.name, index.name) for collection, index in ALL}


@pytest.mark.parametrize("collection", DATA_MAP.values(), ids=lambda found: found.name)
def test_retention(collection: Collection) -> None:
    """Content and whatever is a fan's expires by itself; a TTL is on `expires_at` and on nothing else."""
    ttls = [index for index in collection.indexes if index.ttl]
    assert [index.keys for index in ttls] == ([] if collection.name in FOREVER else [(("expires_at", 1),)])
    assert (collection.name in EXPIRING) == bool(ttls)
    if collection.personal == "content" or collection.subject == "fan":
        assert ttls
    assert collection.purpose.endswith(".") and collection.retention and collection.ground
    assert all(not index.unique for index in ttls)


@pytest.mark.parametrize("collection", DATA_MAP.values(), ids=lambda found: found.name)
def test_secrets_are_never_exported(collection: Collection) -> None:
    """Neither tokens nor hashes of passwords; and what is somebody's is not kept at erasure."""
    if collection.personal == "secret":
        assert collection.export == ()
    assert not {"password_hash", "email_key", "envelope", "token"} & set(collection.export)
    if collection.subject != "nobody":
        assert collection.erasure != "keep"


@pytest.mark.parametrize("collection", DATA_MAP.values(), ids=lambda found: found.name)
def test_exports_name_fields(collection: Collection) -> None:
    """Plain names of stored fields, each once, none of them a secret; and only what is nobody's is not personal."""
    assert len(set(collection.export)) == len(collection.export)
    for name in collection.export:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert not re.search("hash|token|secret|password|envelope|fence|(?<!re)lease|(^|_)key$", name)
    if collection.subject == "fan" and collection.name not in PASSING:
        assert collection.export
    assert (collection.personal == "none") == (collection.subject == "nobody")


@pytest.mark.parametrize("collection", DATA_MAP.values(), ids=lambda found: found.name)
def test_what_names_a_connection_decides(collection: Collection) -> None:
    """What its end does to it. Content and fans are erased, secrets are destroyed, and only ids alone are kept.

    That no other stored document names a connection, the flows of leaving look at.
    """
    if any("connection_id" in dict(index.keys) for index in collection.indexes):
        assert collection.of_connection
    if collection.of_connection == "keep":
        assert collection.personal == "none"
    if collection.of_connection and collection.personal == "secret":
        assert collection.of_connection == "destroy"


@pytest.mark.parametrize("index", ["expires_at_1", "label_id_1_connection_id_1_provider_id_1"])
async def test_an_index_that_went_away_is_named(fresh_mongodb_url: str, index: str) -> None:
    """A TTL and a unique one, dropped by hand after a good start."""
    db = Database(fresh_mongodb_url)
    await create_indexes(db)
    await db.open("messages").drop_index(index)
    assert await wrong_indexes(db) == [f"messages.{index} is missing"]
    await create_indexes(db)
    assert await wrong_indexes(db) == []
    db.close()


async def test_an_undeclared_ttl_is_named(fresh_mongodb_url: str) -> None:
    """It would delete what is promised to stay; a plain index that somebody added does no harm."""
    db = Database(fresh_mongodb_url)
    await create_indexes(db)
    await db.open("users").create_index("name")
    await db.open("users").create_index("created_at", expireAfterSeconds=3600)
    assert await wrong_indexes(db) == ["users has a TTL index on created_at, which the data map does not declare"]
    db.close()


async def test_indexes_are_made_and_found_right(fresh_mongodb_url: str) -> None:
    """Twice does no harm."""
    db = Database(fresh_mongodb_url)
    assert set(await wrong_indexes(db)) == {f"{c.name}.{i.name} is missing" for c, i in ALL}
    await create_indexes(db)
    await create_indexes(db)
    assert await wrong_indexes(db) == []
    db.close()


WRONG: list[tuple[str, str, Doc]] = [
    ("messages", "expires_at_1", {"expireAfterSeconds": 3600}),
    ("messages", "expires_at_1", {}),
    ("users", "email_key_1", {}),
    ("operations", "due_at_1", {}),
    ("events", "label_id_1_key_1", {"unique": True, "partialFilterExpression": {"key": {"$exists": True}}}),
]


@pytest.mark.parametrize(("name", "index", "options"), WRONG)
async def test_a_wrong_index_is_named(fresh_mongodb_url: str, name: str, index: str, options: Doc) -> None:
    """A start makes no other of it: somebody must decide."""
    db = Database(fresh_mongodb_url)
    keys = next(found.keys for _, found in ALL if found.name == index)
    await db.open(name).create_index(list(keys), name=index, **options)
    await create_indexes(db)
    assert await wrong_indexes(db) == [f"{name}.{index} differs from the data map"]
    db.close()


async def test_a_transaction_is_all_or_nothing(fresh_mongodb_url: str) -> None:
    """The second write fails: the first is not there."""
    db = Database(fresh_mongodb_url)
    await create_indexes(db)

    async def both(session: Session) -> None:
        await db.open("labels").insert_one({"_id": "lbl_1", "slug": "a"}, session=session)
        raise CollectionInvalid("stop")

    with pytest.raises(CollectionInvalid):
        await db.in_transaction(both)
    assert await db.open("labels").count_documents({}) == 0
    db.close()
