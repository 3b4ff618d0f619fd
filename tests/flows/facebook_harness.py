"""What the flows of Facebook Login share: logging in at the sandbox, choosing, and what came of it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.db import Doc
from tests.flows.flows_harness import Desk
from tests.house import House

ROBIN, SASHA, KIM = "700000000000101", "700000000000102", "700000000000103"
NIGHTJAR, LOW_TIDE, MARKET, OLD_MILL = (f"10000000000000{n}" for n in range(1, 5))
NIGHTJAR_IG, LOW_TIDE_IG, OLD_MILL_IG = (f"1784140000000000{n}" for n in range(1, 4))
ALL = ["comments", "insights", "messages", "publishing"]


@dataclass
class Login(Desk):
    """A log-in with Facebook, begun by the owner of a label."""

    connection_id: str

    async def shown(self) -> Doc:
        """The connection as the API shows it."""
        found: Doc = await self.get(f"/connections/{self.connection_id}")
        return found

    async def connections(self) -> dict[str, Doc]:
        """The label's active connections, by the account's id."""
        found = await self.all("/connections")
        return {one["provider_id"]: one for one in found if one["status"] == "active"}

    async def choices(self) -> dict[str, Doc]:
        """What can be chosen, by the account's id."""
        return {one["provider_id"]: one for one in await self.all(f"/connections/{self.connection_id}/accounts")}

    async def choose(self, *accounts: str | Doc) -> httpx.Response:
        """Ask for these accounts to be connected; a worker has not begun then."""
        wanted = [{"provider_id": one} if isinstance(one, str) else one for one in accounts]
        path = f"/v1/labels/{self.label_id}/connections/{self.connection_id}/accounts"
        return await self.owner.post(path, json={"accounts": wanted})

    async def connect(self, *accounts: str | Doc) -> dict[str, Doc]:
        """Have these accounts connected; what came of each, by its id."""
        answer = await self.choose(*accounts)
        assert answer.status_code == 202, answer.text
        await self.house.work()
        return await self.results(answer.json()["id"])

    async def results(self, operation_id: str) -> dict[str, Doc]:
        """What came of the chosen accounts, by their ids."""
        operation = (await self.owner.get(f"/v1/operations/{operation_id}")).raise_for_status().json()
        assert operation["state"] == "succeeded", operation
        return {row["provider_id"]: row for row in operation["result"]["accounts"]}

    async def operation(self, kind: str) -> Doc:
        """The newest operation of this kind."""
        found = await self.stored("operations", label_id=self.label_id, kind=kind)
        return max(found, key=lambda one: str(one["_id"]))

    async def secrets(self) -> set[tuple[str, str]]:
        """Which connection has which secret in the vault."""
        return {(one["connection_id"], one["purpose"]) for one in await self.stored("secrets", label_id=self.label_id)}


async def begin(house: House, owner: httpx.AsyncClient, label_id: str, features: list[str] = ALL) -> Doc:
    """A pending connection, and where to log in."""
    wish = {"provider": "facebook", "features": features}
    answer = await owner.post(f"/v1/labels/{label_id}/connections", json=wish)
    assert answer.status_code == 201, answer.text
    begun: Doc = answer.json()
    assert (begun["status"], begun["step"]) == ("pending", "log_in")
    return begun


async def decide(owner: httpx.AsyncClient, authorize_url: str, person: str = "robin", **form: Any) -> None:
    """Log in at the sandbox as this person, and come back with what it gave."""
    order = {"person": person, "allow": "1"} | form
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.post(authorize_url, data=order)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    (await owner.get(f"{back.path}?{back.query}")).raise_for_status()


async def log_in(house: House, person: str = "robin", features: list[str] = ALL, **form: Any) -> Login:
    """A new owner's label, and a log-in up to where something is chosen."""
    owner = await house.person()
    return await log_in_again(house, owner, await house.label(owner), person, features, **form)


async def log_in_again(
    house: House, owner: httpx.AsyncClient, label_id: str, person: str = "robin", features: list[str] = ALL, **form: Any
) -> Login:
    """A log-in for a label that is there, up to where something is chosen."""
    begun = await begin(house, owner, label_id, features)
    await decide(owner, begun["authorize_url"], person, **form)
    await house.work()
    return Login(house, owner, label_id, begun["id"])
