"""A label of the matrices, with its people and what is known of it."""

from dataclasses import dataclass, field

import httpx

from app.db import Doc
from tests.api.matrix_contract import Operation

OF_SUPPORT = {"openSupportAccess"}
"""What only our support does."""
OF_CLIENTS = {"createOauthToken", "revokeOauthToken", "introspectOauthToken"}
"""What an API client does by its secret, which does not go with anybody's access token."""


@dataclass
class Side:
    """One label and its people: `owner`, a second one, and one of each role."""

    name: str
    account: str
    owner: httpx.AsyncClient
    staff: httpx.AsyncClient
    """A person of our support, who may look into the label."""
    nobody: httpx.AsyncClient
    label_id: str
    people: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    user_ids: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    """Real ids by the names of the places where they stand; the first of each is one that its owner can work with."""

    @property
    def path(self) -> str:
        """Where the label is."""
        return f"/v1/labels/{self.label_id}"

    def doer(self, operation: Operation) -> httpx.AsyncClient:
        """Who can do it: the owner, our support, or whoever proves itself by what the body says."""
        if operation.name in OF_CLIENTS:
            return self.nobody
        return self.staff if operation.name in OF_SUPPORT else self.owner

    @property
    def email(self) -> str:
        """The owner's address."""
        return f"owner.{self.name}@example.com"

    async def listed(self, path: str) -> list[Doc]:
        """What a list of the label's shows."""
        found: list[Doc] = (await self.owner.get(f"{self.path}{path}")).raise_for_status().json()["data"]
        return found
