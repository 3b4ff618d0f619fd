"""Secrets that somebody has spoilt in the database: each raises its alarm, and holds up nobody else."""

import pytest

from app.db import Doc
from app.services.vault import ledger
from app.services.vault.envelope import SealBroken
from tests.flows.test_flows_vault import connections, opened, operator
from tests.house import House
from workers import vault

ODD_ROWS: dict[str, Doc] = {
    "a list": {"$set": {"envelope": [{"key_id": "k1"}]}},
    "no wrapped key": {"$unset": {"envelope.wrapped_key": ""}},
    "a number for a key": {"$set": {"envelope.wrapped_key": 5}},
    "no purpose": {"$unset": {"purpose": ""}},
    "no connection": {"$unset": {"connection_id": ""}},
}


@pytest.mark.parametrize("odd", ODD_ROWS)
async def test_one_odd_row_holds_up_nobody(vault_house: House, odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It raises its alarm; the others are rewrapped, or sealed anew, and open."""
    made = await connections(vault_house, 3)
    place = {"label_id": made[0]["label_id"], "connection_id": made[0]["_id"]}
    await vault_house.db.open("secrets").update_one(place, ODD_ROWS[odd])
    op = operator(vault_house)
    with pytest.raises(vault.Refused, match="1 do not open"):
        await vault.rotate(op, settle_s=0)
    assert [(key.key_id, key.state, key.records) for key in await ledger.keys(vault_house.db)] == [
        ("k1", "retiring", 1),
        ("k2", "current", 2),
    ]
    await vault.revoke(op, "k1", force_reconnect=True, settle_s=0)
    assert "1 secrets do not open" in capsys.readouterr().out
    for number in (1, 2):
        assert await opened(vault_house, made[number]) == f"token-of-178414000000000{number:02}"
    events = await vault_house.db.open("events").find({"label_id": made[0]["label_id"]}).to_list()
    assert [event["type"] for event in events if event["type"].startswith("vault")] == ["vault.envelope_broken"]


@pytest.mark.parametrize("envelope", [None, "x", [], {}])
async def test_an_envelope_that_is_none(vault_house: House, envelope: object) -> None:
    """Whatever stands in its place does not open, and that is told."""
    (connection,) = await connections(vault_house, 1)
    mine = {"label_id": connection["label_id"]}
    await vault_house.db.open("secrets").update_one(mine, {"$set": {"envelope": envelope}})
    with pytest.raises(SealBroken):
        await opened(vault_house, connection)
    assert await vault_house.db.open("events").find_one(mine | {"type": "vault.envelope_broken"})
