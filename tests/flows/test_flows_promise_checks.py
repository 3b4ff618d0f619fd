"""What a check must find, and what it must let be: violations that hide, and good things that look like one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.services.labels.members import new_membership
from tests.flows.promises_harness import DAY, WHY, Ground, ground
from tests.house import House

MINUTE = timedelta(minutes=1)
Plant = Callable[[Ground], Awaitable[Any]]


@pytest.fixture
async def on(house: House, tmp_path: Path) -> AsyncIterator[Ground]:
    """The ground."""
    async with ground(house, tmp_path) as found:
        yield found


async def holds(on: Ground, promise_id: str) -> bool:
    """Whether this promise does, when it is measured now."""
    return (await on.measure(promise_id))[promise_id].holding


async def card_before_its_date(on: Ground) -> None:
    """As people write it."""
    await on.put("billing_orders", label_id=on.label_id, note="4242 4242 4242 4242 12/27", expires_at=on.now + DAY)


async def card_as_a_number(on: Ground) -> None:
    """Of a program that reads digits as one."""
    await on.put("billing_orders", label_id=on.label_id, note=4242424242424242, expires_at=on.now + DAY)


async def address_by_another_name(on: Ground) -> None:
    """Of IPv6, in a field that nobody looks for."""
    times = {"created_at": on.now, "ends_at": on.now + DAY, "expires_at": on.now + DAY}
    await on.put("sessions", user_id=on.user_id, network="2001:db8:1::/48", ip="2001:db8:1:2::7", **times)


async def message_of_anothers_connection(on: Ground) -> None:
    """Between two of whose it is."""
    for label_id in (on.label_id, "lbl_another", on.label_id):
        await on.put("messages", **on.of_fan(direction="in", label_id=label_id))


async def use_after_the_consents_end(on: Ground) -> None:
    """Of a visitor who was not asked again."""
    ends = {"ends_at": on.now - DAY, "expires_at": on.now + 900 * DAY, "at": on.now - 100 * DAY}
    await on.put("consents", **on.consent("vis_somebody") | ends)
    await on.put("usage_events", **on.used("vis_somebody"))


async def whole_name_of_a_browser(on: Ground) -> None:
    """By which somebody could be told apart."""
    await on.put("consents", **on.consent("vis_somebody"))
    await on.put("usage_events", **on.used("vis_somebody") | {"browser": "Mozilla/5.0 (X11; Linux x86_64) Gecko"})


async def mail_after_a_withdrawal(on: Ground) -> None:
    """By a consent that had stood."""
    given = on.consent(on.user_id) | {"purpose": "marketing_mail", "at": on.now - DAY}
    consent_id = await on.put("consents", **given)
    await on.put("consents", **given | {"seq": 2, "decision": "withdrawn", "at": on.now - 60 * MINUTE})
    ids = {"label_id": None, "user_id": on.user_id, "template": "marketing", "campaign_id": "cmp_1"}
    sent = {"consent_id": consent_id, "state": "sent", "sent_at": on.now - 50 * MINUTE}
    await on.put("mails", **ids, **sent, expires_at=on.now + DAY)


async def note_among_many(on: Ground) -> None:
    """Of somebody who withdrew; so many others were noted since that no sample has it."""
    await on.put("consents", **on.consent("usr_somebody"))
    withdrawn = {"seq": 2, "decision": "withdrawn", "at": on.now - 60 * MINUTE}
    await on.put("consents", **on.consent("usr_somebody") | withdrawn)
    await on.put("usage_events", **on.used("usr_somebody") | {"_id": "use_1"})
    await on.put("consents", **on.consent("vis_others"))
    others = [on.used("vis_others") | {"_id": f"use_2{number:05}"} for number in range(3000)]
    await on.house.db.raw["usage_events"].insert_many(others, comment=WHY)


HIDDEN: list[tuple[str, Plant]] = [
    ("cards-only-at-stripe", card_before_its_date),
    ("cards-only-at-stripe", card_as_a_number),
    ("addresses-shortened", address_by_another_name),
    ("received-from-connected-accounts", message_of_anothers_connection),
    ("usage-by-consent", use_after_the_consents_end),
    ("usage-names-only", whole_name_of_a_browser),
    ("withdrawal-counts-at-once", mail_after_a_withdrawal),
    ("withdrawal-counts-at-once", note_among_many),
]


@pytest.mark.parametrize(("promise_id", "plant"), HIDDEN, ids=lambda one: getattr(one, "__name__", one))
async def test_what_hides_is_found(on: Ground, promise_id: str, plant: Plant) -> None:
    """Though it is not where a violation is looked for first."""
    assert await holds(on, promise_id)
    await plant(on)
    assert not await holds(on, promise_id)


async def named_like_a_token(on: Ground) -> None:
    """Whoever likes may be called so."""
    await on.change("users", on.user_id, name="IGAA" + "x1" * 30)


async def tax_id_like_a_card(on: Ground) -> None:
    """Fourteen digits of which the last is made as a card's is: of every company in France."""
    tax_ids = [{"type": "fr_siret", "value": "44306184100047"}]
    await on.put("money_parties", label_id=on.label_id, key="planted", tax_ids=tax_ids)


async def keys_exchanged(on: Ground) -> None:
    """A sealed token remembers the keys that it was ever under."""
    keys = {"earlier_keys": ["k0"], "revoked_keys": ["k"]}
    await on.house.db.raw["secrets"].update_many({}, {"$set": keys}, comment=WHY)


async def owner_changed(on: Ground) -> None:
    """Somebody who was an owner is none any more; and the label is going to be deleted."""
    other = await on.house.person("second@example.com")
    user_id = (await other.get("/v1/me")).json()["id"]
    await on.house.db.open("memberships").insert_one(new_membership(on.label_id, user_id, "owner", now=on.now))
    path = f"/v1/labels/{on.label_id}"
    first = (await other.get(f"{path}/members")).json()["data"][0]
    (await other.patch(f"{path}/members/{first['id']}", json={"role": "agent"})).raise_for_status()
    (await other.delete(path)).raise_for_status()
    await other.aclose()


GOOD: list[tuple[str, Plant]] = [
    ("secrets-never-in-clear", named_like_a_token),
    ("cards-only-at-stripe", tax_id_like_a_card),
    ("tokens-sealed", keys_exchanged),
    ("label-profile-only", owner_changed),
]


@pytest.mark.parametrize(("promise_id", "do"), GOOD, ids=lambda one: getattr(one, "__name__", one))
async def test_what_is_right_breaks_nothing(on: Ground, promise_id: str, do: Plant) -> None:
    """It only looks like a violation."""
    await do(on)
    assert await holds(on, promise_id)
