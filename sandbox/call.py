"""One Graph call: whose it is and what it says. Token checks live here."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from sandbox.box import Sandbox
from sandbox.errors import GraphError, no_permission, unsupported
from sandbox.fields import time_text
from sandbox.seed import ACCOUNTS, Account
from sandbox.state import Token

BASIC = "instagram_business_basic"
MESSAGES = "instagram_business_manage_messages"
COMMENTS = "instagram_business_manage_comments"
SCOPES = (
    BASIC,
    MESSAGES,
    COMMENTS,
    "instagram_business_content_publish",
    "instagram_business_manage_insights",
)


@dataclass(frozen=True)
class Call:
    """A call with a good token."""

    box: Sandbox
    method: str
    base: str
    """The address of this host with the version, as the caller wrote it."""
    path: str
    token: Token
    account: Account
    params: dict[str, Any]

    @property
    def url(self) -> str:
        """The called address without its query."""
        return self.base + self.path

    def need(self, *scopes: str) -> None:
        """Raise the permission error unless the user granted all of these."""
        if not set(scopes) <= set(self.token.scopes):
            raise no_permission()

    def own(self, node: str) -> Account:
        """The token's own account, if that is what `node` names. Raises code 100/33."""
        if node not in ("me", self.account.id, self.account.scoped_id):
            raise unsupported(self.method, node)
        return self.account

    def text(self, name: str) -> str:
        """A parameter as text; empty when it is missing."""
        value = self.params.get(name, "")
        return value if isinstance(value, str) else json.dumps(value)

    def paging_params(self) -> dict[str, Any]:
        """The parameters a `next` address repeats, the token among them."""
        return self.params | {"access_token": self.token.value}


def sent_token(request: Request, params: dict[str, Any]) -> str:
    """The access token a call carries, in its header or its parameters."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else str(params.get("access_token", ""))


def need_token(box: Sandbox, value: str) -> Token:
    """The live token of this value. Raises code 190 with the reason."""
    token = box.world.tokens.get(value)
    if token is None:
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
    if token.dead_subcode is not None:
        raise GraphError(
            190, "Error validating access token: The user has not authorized application", token.dead_subcode
        )
    if box.now_ms() >= token.expires_ms:
        message = f"Error validating access token: Session has expired on {time_text(token.expires_ms)}"
        raise GraphError(190, message, 463)
    return token


def account_of(token: Token) -> Account:
    """The account a token speaks for."""
    return next(account for account in ACCOUNTS if account.id == token.account_id)
