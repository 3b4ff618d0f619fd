"""A label with an API client, and the client's own hands: for the tests of partners."""

from dataclasses import dataclass

import httpx

from app.db import Doc
from tests.house import PUBLIC_URL, House

REASON = "The partner's help desk answers fans for the label."


@dataclass
class Partner:
    """An owner, the label, and an API client of it."""

    house: House
    owner: httpx.AsyncClient
    label_id: str
    client: Doc
    """As the answer that made it."""

    @property
    def base(self) -> str:
        """The label's path."""
        return f"/v1/labels/{self.label_id}"

    @property
    def path(self) -> str:
        """The client's path."""
        return f"{self.base}/api-clients/{self.client['id']}"

    @property
    def auth(self) -> tuple[str, str]:
        """Its id and first secret, for HTTP Basic."""
        return self.client["client_id"], self.client["client_secret"]

    async def ask(self, scope: str | None = None, **changes: str) -> httpx.Response:
        """A request for a token, as OAuth libraries send it: a form, and HTTP Basic."""
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {}) | changes
        return await self.house.http.post("/v1/oauth/token", data=form, auth=self.auth)

    async def token(self, scope: str | None = None) -> str:
        """An access token."""
        return str((await self.ask(scope)).raise_for_status().json()["access_token"])

    async def api(self, scope: str | None = None) -> httpx.AsyncClient:
        """The API in the partner's hands."""
        return bearer(self.house, await self.token(scope))

    async def decide(self, *scopes: str) -> None:
        """Have the owner decide that these scopes may reach data from Meta."""
        body = {"scopes": list(scopes), "reason": REASON}
        (await self.owner.put(f"{self.path}/meta-access", json=body)).raise_for_status()


def bearer(house: House, token: str) -> httpx.AsyncClient:
    """Somebody who shows this token."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url=PUBLIC_URL, headers=headers)


async def a_partner(
    house: House, *scopes: str, email: str = "owner@example.com", slug: str = "nightjar", days: int = 90
) -> Partner:
    """A label with a client of these scopes (`label:read` unless given)."""
    owner = await house.person(email)
    label_id = await house.label(owner, slug)
    return await another_client(house, owner, label_id, *scopes, days=days)


async def another_client(
    house: House, owner: httpx.AsyncClient, label_id: str, *scopes: str, days: int = 90
) -> Partner:
    """One more client of a label."""
    body = {"name": "Help desk", "scopes": list(scopes or ("label:read",)), "expires_in_days": days}
    made = await owner.post(f"/v1/labels/{label_id}/api-clients", json=body)
    return Partner(house, owner, label_id, made.raise_for_status().json())
