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
PUBLISH = "instagram_business_content_publish"
INSIGHTS = "instagram_business_manage_insights"
SCOPES = (BASIC, MESSAGES, COMMENTS, PUBLISH, INSIGHTS)
INSTAGRAM_GRAPH = "graph.instagram.com"
FACEBOOK_GRAPH = "graph.facebook.com"
DEAD = {
    458: "The user has not authorized application",
    459: "You cannot access the app till you log in to www.facebook.com and follow the instructions given",
    460: "The session has been invalidated because the user changed their password or Facebook has changed the session"
    " for security reasons",
    492: "The user must be an administrator, editor, or moderator of the page in order to impersonate it",
}
"""What Meta says to a token that has died, by subcode."""


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
    return value.strip() if scheme.lower() in ("bearer", "oauth") else str(params.get("access_token", ""))


def need_token(box: Sandbox, value: str, host: str = INSTAGRAM_GRAPH) -> Token:
    """The live token of this value, made for this host. Raises code 190 with the reason."""
    token = box.world.tokens.get(value)
    if token is None or token.host != host:
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
    subcode = token.dead_subcode or (459 if token.person_id in box.world.checkpointed else None)
    if subcode is not None:
        raise GraphError(190, f"Error validating access token: {DEAD.get(subcode, DEAD[458])}", subcode)
    if token.expires_ms and box.now_ms() >= token.expires_ms:
        message = f"Error validating access token: Session has expired on {time_text(token.expires_ms)}"
        raise GraphError(190, message, 463)
    return token


def account_of(token: Token) -> Account:
    """The account a token speaks for."""
    return next(account for account in ACCOUNTS if account.id == token.account_id)
