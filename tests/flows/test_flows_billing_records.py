"""Records of money: kept as the law asks, under a pseudonym once the label is gone, held, and purged for good."""

from datetime import timedelta

import pytest
from bson import BSON

from app.clients.stripe_api import StripeUnsure
from app.clients.stripe_reading import read_customer
from app.db import Doc
from app.errors import Conflict, NotFound
from app.models.data_map import DATA_MAP
from app.services.audit import Audit
from app.services.billing import holds, looking, purging, reconciling
from app.services.labels import deletion
from tests.flows.till_harness import Till
from workers import ledger

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own way to call httpx
MONEY = ("money_records", "money_parties", "billing_accounts", "legal_holds")
ALL = "all-labels: a test looks at all of it"


async def paid_label(till: Till) -> tuple[str, str]:
    """A label that has paid, and its customer."""
    till.owner = await till.house.person()
    label_id = await till.house.label(till.owner)
    customer = await till.customer(label_id)
    await till.subscribe(customer)
    await till.told()
    return label_id, customer


async def all_of(till: Till, name: str) -> list[Doc]:
    """Everything in this collection."""
    found: list[Doc] = await till.house.db.open(name).find({}, comment=ALL).to_list()
    return found


def audit_of(till: Till) -> Audit:
    """The log."""
    return till.house.worker.audit


async def end_label(till: Till, label_id: str) -> None:
    """Announce the end of the label, and let it come."""
    (await till.owner.delete(f"/v1/labels/{label_id}")).raise_for_status()
    await till.advance(deletion.GRACE.days + 0.1)
    for _ in range(6):
        await till.house.work()
        await till.advance(0.01)
    assert await till.house.db.open("labels").find_one({"_id": label_id}) is None


async def test_minimal_fields(till: Till) -> None:
    """No e-mail address, no card, no name in a record; whom the invoice names is a document of its own."""
    label_id, _ = await paid_label(till)
    records = await till.records(label_id, "invoice") + await till.records(label_id, "payment")
    text = str(records)
    assert "books@nightjar" not in text and "Nightjar" not in text and "4242" not in text and "Night Street" not in text
    [party] = await all_of(till, "money_parties")
    assert (party["name"], party["country"], party["address"]["line1"]) == ("Nightjar Records", "GB", "1 Night Street")
    assert "email" not in party
    assert {record["keep_until"] for record in records} == {"2032-12-31"}


async def test_a_label_ends(till: Till) -> None:
    """Its subscription ends at Stripe, its card goes, its records stay under a pseudonym that leads nowhere."""
    label_id, customer = await paid_label(till)
    before = await all_of(till, "money_records")
    await end_label(till, label_id)
    assert (await read_customer(till.stripe, customer)).deleted
    subs = await till.v1.subscriptions.list_async({"customer": customer, "status": "all"})
    assert [sub.status for sub in subs.data] == ["canceled"]
    after = await all_of(till, "money_records")
    assert {one["_id"] for one in before} <= {one["_id"] for one in after}
    [pseudonym] = {one["label_id"] for one in after}
    assert pseudonym.startswith("gone_") and all("links" not in one for one in after)
    [account] = await all_of(till, "billing_accounts")
    assert (account["label_id"], account["details"], account["payment_method"]) == (pseudonym, None, None)
    for name in MONEY:
        assert label_id not in str(await all_of(till, name))
    every: list[bytes] = [BSON.encode(doc) for name in DATA_MAP for doc in await all_of(till, name)]
    assert not [doc for doc in every if pseudonym.encode() in doc and label_id.encode() in doc]
    mails = [mail["subject"] for mail in await till.house.mails("owner@example.com")]
    assert "The plan of Nightjar has ended" not in mails


async def test_what_comes_after_the_end(till: Till) -> None:
    """A dispute of the money of a label that is gone still becomes a record, and nobody is told."""
    label_id, _ = await paid_label(till)
    [payment] = await till.records(label_id, "payment")
    await end_label(till, label_id)
    await till.order("POST", f"/charges/{payment['charge_id']}/dispute", {})
    await till.told()
    kinds = [one["kind"] for one in await all_of(till, "money_records")]
    assert "dispute" in kinds
    assert not [one for one in await all_of(till, "events") if one["label_id"].startswith("gone_")]
    [account] = await all_of(till, "billing_accounts")
    assert account["details"] is None and "look_at" not in account


async def test_a_label_that_has_paid_nothing_leaves_nothing(till: Till) -> None:
    """No record, no reason to keep anything."""
    till.owner = await till.house.person()
    label_id = await till.house.label(till.owner)
    customer = await till.customer(label_id)
    await till.told()
    await end_label(till, label_id)
    assert (await read_customer(till.stripe, customer)).deleted
    for name in MONEY:
        assert await all_of(till, name) == []


async def test_the_end_waits_for_stripe(till: Till) -> None:
    """While Stripe is away nothing is given up: or a label that is gone would go on paying."""
    label_id, customer = await paid_label(till)
    (await till.owner.delete(f"/v1/labels/{label_id}")).raise_for_status()
    await till.advance(deletion.GRACE.days + 0.1)
    await till.order("POST", "/faults", {"fault": "http", "status": 503, "times": None})
    await till.house.work()
    await till.house.work()
    assert (await till.account(label_id))["customer_id"] == customer
    await till.order("DELETE", "/faults")
    for _ in range(6):
        await till.advance(0.01)
        await till.house.work()
    assert (await read_customer(till.stripe, customer)).deleted
    assert not await till.house.db.open("billing_accounts").find({"label_id": label_id}).to_list()


async def test_a_label_ends_whose_customer_stripe_does_not_have(till: Till) -> None:
    """As after the account at Stripe was changed: there is nothing to be ended there, and nothing to wait for."""
    label_id, _ = await paid_label(till)
    db = till.house.db
    await db.open("billing_accounts").update_one({"label_id": label_id}, {"$set": {"customer_id": "cus_ofanother"}})
    before = looking.ALARMS.labels("customer_gone")._value.get()
    await end_label(till, label_id)
    assert looking.ALARMS.labels("customer_gone")._value.get() > before
    assert {one["label_id"][:5] for one in await all_of(till, "money_records")} == {"gone_"}


async def test_the_purge(till: Till) -> None:
    """On the day after the law's last one all of it goes, and Stripe's list brings none of it back."""
    label_id, customer = await paid_label(till)
    db, books = till.house.db, till.house.worker.settings.books
    ends = max([one["purge_at"] for one in await all_of(till, "money_records")])
    assert await purging.purge(db, audit_of(till), books=books, now=ends - timedelta(milliseconds=1)) == 0
    assert await purging.purge(db, audit_of(till), books=books, now=ends) == 2
    assert await all_of(till, "money_records") == [] == await all_of(till, "money_parties")
    till.house.clock.offset += ends - till.house.clock()
    await db.open("billing_accounts").update_one({"label_id": label_id}, {"$set": {"look_at": till.house.clock()}})
    await till.work()
    assert [one for one in await all_of(till, "money_records") if one["latest_at"].year == 2026] == []
    assert (await till.account(label_id))["customer_id"] == customer


async def test_the_purge_of_a_label_that_is_gone_ends_everything(till: Till) -> None:
    """With its last record what was left of its account goes too, and its holds."""
    label_id, _ = await paid_label(till)
    await end_label(till, label_id)
    books = till.house.worker.settings.books
    ends = max([one["purge_at"] for one in await all_of(till, "money_records")])
    await purging.purge(till.house.db, audit_of(till), books=books, now=ends)
    for name in MONEY:
        assert await all_of(till, name) == []


async def test_a_legal_hold(till: Till) -> None:
    """While it is placed nothing goes, of what was there and of what comes; once released, what is due goes."""
    label_id, _ = await paid_label(till)
    db, books, now = till.house.db, till.house.worker.settings.books, till.house.clock()
    with pytest.raises(NotFound, match="nothing to do with billing"):
        await holds.place(db, audit_of(till), "lbl_unknown", reason="HMRC-2026/17", now=now)
    for name in ("Mr. Smith wants it", "Smith", "7", "HMRC 2026", ""):
        with pytest.raises(ValueError, match="No names"):
            await holds.place(db, audit_of(till), label_id, reason=name, now=now)
    await holds.place(db, audit_of(till), label_id, reason="HMRC-2026/17", now=now)
    with pytest.raises(Conflict):
        await holds.place(db, audit_of(till), label_id, reason="HMRC-2026/18", now=now)
    [payment] = await till.records(label_id, "payment")
    await till.v1.refunds.create_async({"payment_intent": payment["provider_id"]})
    await till.told()
    records = await all_of(till, "money_records")
    assert len(records) == 3 and all("purge_at" not in one for one in records)
    far = now + timedelta(days=365 * 30)
    assert await purging.purge(db, audit_of(till), books=books, now=far) == 0
    await holds.release(db, audit_of(till), label_id, books=books, now=now)
    with pytest.raises(NotFound):
        await holds.release(db, audit_of(till), label_id, books=books, now=now)
    assert await purging.purge(db, audit_of(till), books=books, now=far) == 3
    log = await db.open("audit_log").find({"label_id": label_id}).to_list()
    done = [row["action"] for row in log]
    assert [one for one in done if one.startswith("billing.")] == [
        "billing.hold_placed",
        "billing.hold_released",
        "billing.purged",
    ]


async def test_what_comes_under_a_hold_is_kept_whatever_its_date(till: Till) -> None:
    """Also what the law would ask for no more, until the hold is released."""
    label_id, _ = await paid_label(till)
    db, books = till.house.db, till.house.worker.settings.books
    await holds.place(db, audit_of(till), label_id, reason="HMRC-2026/17", now=till.house.clock())
    [payment] = await till.records(label_id, "payment")
    await till.order("POST", f"/charges/{payment['charge_id']}/dispute", {})
    far = till.house.clock() + timedelta(days=365 * 30)
    await looking.look(db, till.stripe, await till.account(label_id), books=books, now=far)
    [dispute] = await till.records(label_id, "dispute")
    assert "purge_at" not in dispute
    await holds.release(db, audit_of(till), label_id, books=books, now=far)
    assert await purging.purge(db, audit_of(till), books=books, now=far) == 3


async def test_a_hold_before_anything_is_paid(till: Till) -> None:
    """What comes is held from the beginning; and of a label that leaves nothing, its hold goes, too."""
    till.owner = await till.house.person()
    db, books = till.house.db, till.house.worker.settings.books
    label_id, other = await till.house.label(till.owner), await till.house.label(till.owner, "second")
    for one in (label_id, other):
        await till.customer(one)
        await holds.place(db, audit_of(till), one, reason="HMRC-2026/17", now=till.house.clock())
    await end_label(till, other)
    assert await db.open("billing_accounts").find({"label_id": other}).to_list() == []
    assert [one["label_id"] for one in await all_of(till, "legal_holds")] == [label_id]
    await till.subscribe((await till.account(label_id))["customer_id"])
    await till.told()
    far = till.house.clock() + timedelta(days=365 * 30)
    assert await purging.purge(db, audit_of(till), books=books, now=far) == 0
    assert len(await till.records(label_id, "payment")) == 1


async def test_a_hold_outlives_the_label(till: Till) -> None:
    """It goes over to the pseudonym."""
    label_id, _ = await paid_label(till)
    await holds.place(till.house.db, audit_of(till), label_id, reason="HMRC-2026/17", now=till.house.clock())
    await end_label(till, label_id)
    far = till.house.clock() + timedelta(days=365 * 30)
    books = till.house.worker.settings.books
    assert await purging.purge(till.house.db, audit_of(till), books=books, now=far) == 0
    [hold] = await all_of(till, "legal_holds")
    await holds.release(till.house.db, audit_of(till), hold["label_id"], books=books, now=far)
    assert await purging.purge(till.house.db, audit_of(till), books=books, now=far) > 0
    assert await all_of(till, "billing_accounts") == []


async def test_the_command(till: Till, capsys: pytest.CaptureFixture[str]) -> None:
    """An operator reconciles after an outage, sees how things stand, and sets the ends anew after a change."""
    till.owner = await till.house.person()
    label_id = await till.house.label(till.owner)
    customer = await till.customer(label_id)
    await till.subscribe(customer)
    worker = till.house.worker
    clerk = ledger.Clerk(till.house.db, worker.audit, worker.settings, till.stripe, till.house.clock)
    await ledger.run(clerk, ledger.parser().parse_args(["reconcile", "--days", "2"]))
    await till.work()
    assert (await till.account(label_id))["access"] == "full"
    await till.v1.customers.update_async(customer, {"name": "Nightjar Ltd"})
    await ledger.run(clerk, ledger.parser().parse_args(["reconcile", "--all"]))
    assert (await till.account(label_id))["details"]["name"] == "Nightjar Ltd"
    for command in (["hold", label_id, "HMRC-1"], ["status"], ["redate"], ["release", label_id], ["redate"], ["purge"]):
        await ledger.run(clerk, ledger.parser().parse_args(command))
    told = capsys.readouterr().out
    assert "1 customers are looked at by the workers" in told and "HMRC-1" in told
    assert "0 records of 1 labels" in told and "2 records of 1 labels" in told and "0 records were purged" in told


async def test_what_is_known_stays_known(till: Till, capsys: pytest.CaptureFixture[str]) -> None:
    """Though an operator's walk is broken off; and a customer that Stripe refuses keeps no other waiting."""
    label_id, customer = await paid_label(till)
    worker = till.house.worker
    clerk = ledger.Clerk(till.house.db, worker.audit, worker.settings, till.stripe, till.house.clock)
    arguments = ledger.parser().parse_args(["reconcile", "--days", "3", "--all"])
    await ledger.run(clerk, arguments)
    known = await reconciling.known_through(clerk.db, now=clerk.clock())
    refused = {"fault": "http", "method": "GET", "path": "^/v1/events$", "status": 500, "times": 9}
    await till.order("POST", "/faults", refused)
    with pytest.raises(StripeUnsure):
        await ledger.run(clerk, arguments)
    assert await reconciling.known_through(clerk.db, now=clerk.clock()) == known
    await till.order("DELETE", "/faults")
    other = await till.house.label(till.owner, "low-tide")
    await till.customer(other)
    first, second = sorted([customer, (await till.account(other))["customer_id"]])
    await till.v1.customers.update_async(second, {"name": "Nightjar Ltd"})
    refused = {"fault": "http", "method": "GET", "path": f"^/v1/customers/{first}$", "status": 400, "times": 1}
    await till.order("POST", "/faults", refused)
    with pytest.raises(ValueError, match="1 customers could not be looked at"):
        await ledger.run(clerk, arguments)
    looked = await till.account(label_id if second == customer else other)
    assert looked["details"]["name"] == "Nightjar Ltd"
    assert "1 customers were looked at, of 2." in capsys.readouterr().out
