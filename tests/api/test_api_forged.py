"""The forged set over HTTP: of a real person's session and a real client's secret, and still nothing is taken."""

from pathlib import Path

import pytest

from tests.api.partners_harness import a_partner, bearer
from tests.forgeries import Forger, Kind
from tests.house import PUBLIC_URL, House


@pytest.mark.parametrize("kind", ["person", "client"])
async def test_no_forgery_opens_a_route(house: House, key_folder: Path, kind: Kind) -> None:
    """Each as Bearer, on a route for people and on one of a label: `401`, in the one way that there is."""
    partner = await a_partner(house)
    if kind == "person":
        session = await house.db.open("sessions").find_one({})
        assert session is not None
        own = {"sub": session["user_id"], "sid": session["_id"]}
    else:
        key = partner.client["secrets"][0]["id"]
        own = {"sub": partner.client["id"], "label": partner.label_id, "key": key, "scope": "label:read"}
    forger = Forger(key_folder / "jwt.pem", kind, issuer=PUBLIC_URL, at=int(house.clock().timestamp()), own=own)
    assert (await bearer(house, forger.good()).get(partner.base)).status_code == 200
    taken = []
    forgeries = dict(forger.all())
    for name, token in forgeries.items():
        for path in ("/v1/me", partner.base):
            answer = await house.http.get(path, headers={"Authorization": f"Bearer {token}"})
            if (answer.status_code, answer.json()["code"]) != (401, "unauthenticated"):
                taken.append((name, path, answer.status_code))
    assert taken == []
    assert len(forgeries) > 220
