"""Meta promises neither order nor singleness: whatever it does to the same changes, the same state comes of them."""

import json
import random
from collections import Counter
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Doc
from tests.flows.flows_harness import Desk
from tests.house import ACCOUNT, House, delivery, message_change

FANS = count(900_000_000_100_000)
"""Each run gets a fan of its own, so that one database does for all."""
MESSAGES = ("in1", "in2", "out1")
EMOJI = ("❤️", "😮", "👍")
Kind = tuple[Any, ...]
KINDS: list[Kind] = [("message", mid) for mid in MESSAGES]
KINDS += [(name, mid) for name in ("unsend", "read") for mid in MESSAGES]
KINDS += [("edit", mid, number) for mid in MESSAGES for number in (0, 1, 2)]
KINDS += [("react", mid, by, second) for mid in MESSAGES for by in ("fan", "account") for second in (0, 1, 2)]
KINDS += [("unreact", mid, by, second) for mid in MESSAGES for by in ("fan", "account") for second in (0, 1, 2)]
KINDS += [("postback",), ("referral",), ("handover",), ("edit_zero", "in1"), ("anonymous_edit", "in1")]


def change(kind: Kind, fan: str, base_ms: int) -> Doc:
    """The `messaging` item of this kind. Its time follows from the kind, as an event's time does at Meta."""
    name, *rest = kind
    mid = f"{rest[0] if rest else 'p1'}-{fan}"
    own = mid.startswith("out")
    by_account = own if name in ("message", "unsend", "edit") else bool(rest[1:] and rest[1] == "account")
    sides = [{"id": ACCOUNT}, {"id": fan}]
    sender, recipient = sides if by_account else sides[::-1]
    item: Doc = {"sender": sender, "recipient": recipient, "timestamp": base_ms + 100_000 * KINDS.index(kind)}
    match name:
        case "message":
            return item | {"message": {"mid": mid, "text": f"text of {rest[0]}", "is_echo": own}}
        case "unsend":
            return item | {"message": {"mid": mid, "is_deleted": True}}
        case "read":
            return item | {"read": {"mid": mid}}
        case "edit":
            return item | {"message_edit": {"mid": mid, "text": f"edit {rest[1]}", "num_edit": rest[1]}}
        case "edit_zero":
            return item | {"message_edit": {"mid": mid, "num_edit": 0}}
        case "anonymous_edit":
            edit = {"mid": mid, "text": "edit 1 of nobody", "num_edit": 3}
            return {"timestamp": item["timestamp"], "message_edit": edit}
        case "react":
            return item | {"reaction": {"mid": mid, "action": "react", "emoji": EMOJI[rest[2]]}}
        case "unreact":
            return item | {"reaction": {"mid": mid, "action": "unreact"}}
        case "postback":
            return item | {"postback": {"mid": mid, "title": "Tour?", "payload": "TOUR"}}
        case "referral":
            return item | {"referral": {"ref": "flyer"}}
    return item | {"pass_thread_control": {"new_owner_app_id": 7}}


async def state_of(desk: Desk, fan: str) -> Doc:
    """Everything that is stored and shown of one fan, without our own ids and the fan's."""
    conversations = await desk.stored("conversations", **{"participant.provider_id": fan})
    messages = await desk.stored("messages", provider_id={"$regex": f"-{fan}$"})
    ids = {document["_id"] for document in [*conversations, *messages]}
    events = Counter(event["type"] for event in await desk.stored("events") if event["target"] in ids)
    shown = [found for found in await desk.conversations() if found["participant"]["provider_id"] == fan]
    listed = [desk.plain(message) for message in (await desk.messages(fan) if shown else [])]
    ours = ("_id", "conversation_id", "created_at", "version", "touched", "status_at", "received_at")
    state = {
        "stored": sorted(
            json.dumps({name: doc[name] for name in sorted(doc) if name not in ours}, default=str, sort_keys=True)
            for doc in [*conversations, *messages]
        ),
        "shown": [{name: found[name] for name in sorted(found) if name != "id"} for found in shown],
        "listed": listed,
        "events": sorted(events.items()),
    }
    found: Doc = json.loads(json.dumps(state).replace(fan, "<fan>"))
    return found


async def deliver_batched(desk: Desk, changes: list[Doc], cuts: list[int]) -> None:
    """Deliver these in this order, cut into batches at these places, and drain after each."""
    places = sorted({0, len(changes), *(cut % (len(changes) + 1) for cut in cuts)})
    for begin, end in pairwise(places):
        await desk.receive(*changes[begin:end])


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=9, unique=True),
    seed=st.randoms(use_true_random=False),
    repeats=st.lists(st.integers(0, 8), max_size=4),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
@settings(max_examples=8, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_order_repeats_and_batches_do_not_matter(
    desk: Desk, kinds: list[Kind], seed: random.Random, repeats: list[int], cuts: list[int]
) -> None:
    """Any order, with any repeats, in any batches: what one batch in Meta's order would have led to."""
    base_ms = desk.house.ms(timedelta(hours=2))
    first, second = str(next(FANS)), str(next(FANS))
    in_order = sorted(kinds, key=KINDS.index)
    await deliver_batched(desk, [change(kind, first, base_ms) for kind in in_order], [])
    mixed = [*kinds, *(kinds[place % len(kinds)] for place in repeats)]
    seed.shuffle(mixed)
    await deliver_batched(desk, [change(kind, second, base_ms) for kind in mixed], cuts)
    assert await state_of(desk, second) == await state_of(desk, first)


async def test_a_thousand_changes_in_any_batches_are_a_thousand_effects(house: House) -> None:
    """1,000 in one batch, then the same in 1,000 posts, then in 37 random batches. Twenty accounts, ten fans each."""
    owner, shuffled, base_ms = await house.person(), random.Random(37), house.ms(timedelta(hours=1))
    desks: list[Desk] = []
    for n in range(20):
        label_id = await house.label(owner, f"label-{n}")
        connection = await house.connection(label_id, f"178414000000000{n:02}")
        desks.append(Desk(house, owner, label_id, connection["_id"]))
    entries = [one_of_a_thousand(n, base_ms) for n in range(1000)]
    assert (await house.deliver({"object": "instagram", "entry": entries})).status_code == 200
    await house.work()
    for entry in entries:
        assert (await house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await house.work()
    shuffled.shuffle(entries)
    cuts = sorted(shuffled.sample(range(1, 1000), 36))
    for begin, end in pairwise([0, *cuts, 1000]):
        assert (await house.deliver({"object": "instagram", "entry": entries[begin:end]})).status_code == 200
    await house.work()
    shown = [found["text"] for desk in desks for found in await desk.everything()]
    assert sorted(shown) == sorted(f"Message {n}" for n in range(1000))
    events = await desks[0].stored("events")
    assert Counter(event["type"] for event in events) == {"message.received": 1000}
    assert len({event["target"] for event in events}) == len(await desks[0].stored("messages")) == 1000
    for desk in desks:
        assert [found["unread_count"] for found in await desk.conversations()] == [5] * 10
    assert await desks[0].undrained() == []


def one_of_a_thousand(n: int, base_ms: int) -> Doc:
    """The entry of the nth message."""
    account = f"178414000000000{n % 20:02}"
    change = message_change(f"m{n}", text=f"Message {n}", ms=base_ms + n, fan=f"9000{n // 20 % 10:02}", account=account)
    entry: Doc = delivery(change, account=account)["entry"][0]
    return entry
