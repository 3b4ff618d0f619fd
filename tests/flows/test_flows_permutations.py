"""Five events about one message, in each of their 120 orders, on Instagram and on Messenger: one state results."""

import json
from itertools import permutations

import pytest

from app.db import Doc
from tests.flows.flows_harness import Desk, sit_down
from tests.house import ACCOUNT, House

FAN = "9100000000000001"
OURS = ("_id", "conversation_id", "created_at", "version", "touched", "received_at", "status_at")
"""What is of our own making, or tells when we heard of something."""
NETWORKS: dict[str, Doc] = {
    "instagram": {"object": "instagram", "connection": {}},
    "messenger": {"object": "page", "connection": {"provider": "facebook", "network": "facebook"}},
}


def story(network: str, ms: int, *, unsent: bool) -> list[Doc]:
    """A message, its edit, a reaction to it, and that it was read; and, unless it stays, that it was unsent."""
    who: Doc = {"sender": {"id": FAN}, "recipient": {"id": ACCOUNT}}
    mid: Doc = {"mid": "m_S"}
    parts: list[Doc] = [
        {"message": mid | {"text": "first words"}},
        {"message_edit": mid | {"text": "other words", "num_edit": "1"}},
        {"reaction": mid | {"action": "react", "emoji": "\u2764"}},
        {"read": mid if network == "instagram" else {"watermark": ms + 3500}},
        *([{"message": mid | {"is_deleted": True}}] if unsent else []),
    ]
    return [who | {"timestamp": ms + 1000 * place} | part for place, part in enumerate(parts)]


@pytest.mark.parametrize("network", NETWORKS)
async def test_all_orders_end_alike(house: House, network: str) -> None:
    """Each order is of its own fan, and drained after each event; so are those of the four where nothing is unsent."""
    desk = await sit_down(house, **NETWORKS[network]["connection"])
    fan, kept, ms = int(FAN), {}, house.ms() - 10_000
    rounds: list[list[Doc]] = [[], [], [], [], []]
    for unsent in (True, False):
        for order in permutations(story(network, ms, unsent=unsent)):
            fan += 1
            kept[fan] = "unsent" if unsent else "there"
            for place, event in enumerate(order):
                rounds[place].append(json.loads(json.dumps(event).replace(FAN, str(fan)).replace("m_S", f"m_{fan}")))
    for items in rounds:
        entry = {"id": ACCOUNT, "time": ms, "messaging": items}
        assert (await house.deliver({"object": NETWORKS[network]["object"], "entry": [entry]})).status_code == 200
        await house.work()
    states = await states_of(desk, kept)
    assert {name: len(different) for name, different in states.items()} == dict.fromkeys(states, 1), states
    assert len(states) == 4
    [there], [unsent_one] = states["messages there"], states["messages unsent"]
    assert json.loads(there)["content"]["words"] == ["other", "words"]
    assert "words" not in unsent_one and "content" not in json.loads(unsent_one)


async def states_of(desk: Desk, kept: dict[int, str]) -> dict[str, set[str]]:
    """The different states of what is stored, by the collection and by what is kept of which fan."""
    states: dict[str, set[str]] = {}
    for name in ("messages", "conversations"):
        for stored in await desk.stored(name):
            fan = stored.get("provider_id", "").removeprefix("m_") or stored["participant"]["provider_id"]
            shown = {key: value for key, value in stored.items() if key not in OURS}
            text = json.dumps(shown, default=str, sort_keys=True).replace(fan, "<fan>")
            states.setdefault(f"{name} {kept[int(fan)]}", set()).add(text)
    return states
