"""One call on graph.facebook.com: whose it is, what they may do, and where it leads. Source: sections 1.2 and 1.4."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.box import Sandbox
from sandbox.call import (
    BASIC,
    COMMENTS,
    FACEBOOK_GRAPH,
    INSIGHTS,
    MESSAGES,
    PUBLISH,
    Call,
    need_token,
)
from sandbox.errors import GraphError, bad_parameter, no_permission, unsupported
from sandbox.facebook_seed import PERSON_BY_ID, Page, Person
from sandbox.facebook_world import granted, linked_account, pages_of, tasks_of
from sandbox.seed import Account, fan_of_scoped_id
from sandbox.state import Token, World

PROOF_MS = 5 * 60 * 1000
SCOPE_NAMES = {
    "instagram_basic": BASIC,
    "instagram_manage_messages": MESSAGES,
    "instagram_manage_comments": COMMENTS,
    "instagram_content_publish": PUBLISH,
    "instagram_manage_insights": INSIGHTS,
    "instagram_manage_contents": "instagram_manage_contents",
}
"""Facebook Login's names of what Instagram Login calls otherwise."""


@dataclass(frozen=True)
class FacebookCall:
    """A call with a good token of a person, or of a person for one Page."""

    box: Sandbox
    method: str
    base: str
    path: str
    token: Token
    params: dict[str, Any]

    @property
    def url(self) -> str:
        """The called address without its query."""
        return self.base + self.path

    @property
    def person(self) -> Person:
        """Who logged in."""
        return PERSON_BY_ID[self.token.person_id]

    def text(self, name: str) -> str:
        """A parameter as text; empty when it is missing."""
        return str(self.params.get(name, ""))

    def paging_params(self) -> dict[str, Any]:
        """The parameters a `next` address repeats, the token among them."""
        return self.params | {"access_token": self.token.value}

    def need(self, *permissions: str) -> None:
        """Raise code 10 or 200 unless the person has granted all of these."""
        have = granted(self.box.world, self.person.id)
        for permission in permissions:
            if permission in have:
                continue
            if permission.startswith("instagram_") or permission == "pages_read_engagement":
                raise no_permission()
            raise GraphError(200, f"(#200) Requires {permission} permission to manage the object")

    def need_page_token(self, page: Page) -> None:
        """Raise code 210 for a person's own token, 100/33 for another Page's."""
        if self.token.kind != "page":
            raise GraphError(210, "(#210) A page access token is required to request this resource.")
        self.need_page(page)

    def need_page(self, page: Page) -> None:
        """Raise code 100/33 unless the token's person has chosen this Page and has a role on it."""
        own = self.token.kind == "user" or self.token.account_id == page.id
        if not own or page not in pages_of(self.box.world, self.person):
            raise unsupported(self.method, page.id)

    def need_task(self, page: Page, *tasks: str) -> None:
        """Raise code 200 unless the person has one of these tasks on the Page."""
        have = tasks_of(self.box.world, self.person, page)
        if not any(task in have or f"PROFILE_PLUS_{task}" in have for task in tasks):
            raise GraphError(
                200, "(#200) User does not have sufficient administrative permission for this action on this page."
            )

    def instagram(self, node: str) -> tuple[Call, Page]:
        """This call as one on the linked Instagram account that `node` belongs to. Raises code 100/33 or 10."""
        owner = _owner_of(self.box.world, node)
        for page in pages_of(self.box.world, self.person):
            account = linked_account(self.box.world, page)
            mine = self.token.kind == "user" or self.token.account_id == page.id
            if mine and account is not None and account.id == owner:
                self.need("instagram_basic")
                return self.on_account(account), page
        raise unsupported(self.method, node)

    def on_account(self, account: Account) -> Call:
        """This call with the names and rights of one on graph.instagram.com."""
        have = granted(self.box.world, self.person.id)
        scopes = [scope for name, scope in SCOPE_NAMES.items() if name in have]
        token = replace(self.token, scopes=scopes)
        return Call(self.box, self.method, self.base, self.path, token, account, self.params)

    def on_messenger(self, page: Page) -> Call:
        """This call as one on the Page's own threads. Raises what `need` and `need_task` raise."""
        self.need("pages_messaging")
        self.need_task(page, "MESSAGING")
        token = replace(self.token, scopes=[MESSAGES])
        return Call(self.box, self.method, self.base, self.path, token, page_as_account(page), self.params)


def page_as_account(page: Page) -> Account:
    """A Page as one side of its Messenger threads."""
    return Account(page.number, page.id, page.id, page.id, page.name, page.name, "", 0)


def need_facebook_token(box: Sandbox, value: str, params: Mapping[str, Any]) -> Token:
    """The live token of this value, with a good proof where one is sent or wanted. Raises 104, 190 or 100."""
    if not value:
        raise GraphError(104, "An access token is required to request this resource.")
    token = need_token(box, value, FACEBOOK_GRAPH)
    if box.world.options.require_proof and not params.get("appsecret_proof"):
        raise bad_parameter("API calls from the server require an appsecret_proof argument")
    check_proof(box, value, params)
    return token


def is_app_token(box: Sandbox, value: str) -> bool:
    """Whether this is the Meta app speaking for itself: `id|secret`."""
    return value in [f"{box.settings.meta_app_id}|{secret}" for secret in box.settings.meta_app_secrets]


def check_proof(box: Sandbox, value: str, params: Mapping[str, Any]) -> None:
    """Raise code 100 for an `appsecret_proof` that is wrong, or whose time is over (the timed form)."""
    proof, at = str(params.get("appsecret_proof", "")), str(params.get("appsecret_time", ""))
    if not proof:
        return
    if at and not (at.isdecimal() and abs(box.now_ms() - int(at) * 1000) <= PROOF_MS):
        raise bad_parameter("The appsecret_proof has expired")
    message = f"{value}|{at}" if at else value
    good = [
        hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
        for secret in box.settings.meta_app_secrets
    ]
    if proof not in good:
        raise bad_parameter("Invalid appsecret_proof provided in the API argument")


def _owner_of(world: World, node: str) -> str | None:
    """The Instagram account that this object belongs to, by id."""
    fan = fan_of_scoped_id(node)
    posted = world.posted.find_media(node) or world.posted.containers.get(node)
    found = posted or world.comments.get(node) or world.threads.get(node) or world.messages.get(node)
    if found is not None:
        return found.account_id
    return fan[1].id if fan else node
