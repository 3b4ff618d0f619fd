"""What publishing means on both of Meta's networks: something is prepared, is looked at, and is shown once.

What is prepared has an id of its own, and is shown at most once however often that is asked: so the id is what makes
publishing repeatable. `instagram_publishing.py` and `page_publishing.py` speak each network's language.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from app.clients import answers
from app.clients.graph_call import At, need, once, retried
from app.clients.graph_errors import GraphError, OutcomeUnknown, RateLimited, Refused
from app.models.features import UsedFor

PUBLISHING: tuple[UsedFor, ...] = ("publishing",)
Status = Literal["in_progress", "finished", "published", "error", "expired"]
Meaning = Literal[
    "again", "anew", "not_ready", "quota", "blocked", "restricted", "unfetchable", "fix", "duplicate", "none"
]
SUBCODES: dict[int, Meaning] = {
    2207001: "again",
    2207003: "again",
    2207008: "again",
    2207006: "anew",
    2207020: "anew",
    2207032: "anew",
    2207053: "anew",
    2207076: "anew",
    2207077: "anew",
    2207082: "anew",
    2207027: "not_ready",
    2207042: "quota",
    2207050: "restricted",
    2207051: "blocked",
    2207052: "unfetchable",
    **dict.fromkeys((2207004, 2207005, 2207009, 2207010, 2207023, 2207026, 2207028, 2207057, 2207081), "fix"),
    **dict.fromkeys((2207035, 2207036, 2207037, 2207040, 1366046), "fix"),
}
"""What a refusal of Instagram's means for the post (meta-platform.md, section 5.7)."""
CODES: dict[int, Meaning] = {
    368: "blocked",
    1390008: "blocked",
    **dict.fromkeys((1404102, 1404006, 1404112, 1404078, 4854002), "restricted"),
    **dict.fromkeys((1609005, 2061006, 352, 36000, 36001, 36003, 36004), "fix"),
    506: "duplicate",
    1363047: "again",
    9004: "unfetchable",
    9007: "not_ready",
    25: "restricted",
    24: "anew",
}
"""The same by code alone, of Pages above all (section 5.8)."""


@dataclass(frozen=True)
class Prepared:
    """How something prepared is."""

    status: Status
    provider_id: str | None = None
    """Of the post that shows it, where the network tells."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One picture or video, by a link that lives for hours."""

    url: str
    is_video: bool
    alt_text: str | None = None
    """Of a picture in the feed; nothing else may have one."""
    tags: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Words:
    """All of a post but its pictures."""

    kind: str
    caption: str = ""
    link: str | None = None
    collaborators: tuple[str, ...] = ()
    location_id: str | None = None
    cover_url: str | None = None
    cover_ms: int | None = None
    share_to_feed: bool | None = None
    audio_name: str | None = None


@dataclass(frozen=True)
class Quota:
    """How many posts an account may publish, and has."""

    used: int
    total: int
    window_s: int


@dataclass(frozen=True)
class Shown:
    """A post that is there."""

    provider_id: str
    permalink: str | None = None
    caption: str = field(default="", repr=False)
    at: str = ""


def meaning_of(error: GraphError) -> Meaning:
    """What a failed call means for the post."""
    if error.subcode in SUBCODES:
        return SUBCODES[error.subcode]
    if error.code in CODES:
        return CODES[error.code]
    if isinstance(error, Refused) and error.reason == "action_blocked":
        return "blocked"
    return "none"


def is_refusal(error: GraphError) -> bool:
    """Whether Meta itself has said that it does not do it. A time-out, a gateway's page and "try again" say nothing of
    the kind: what was asked may still be done, later than anybody waits."""
    return isinstance(error, Refused | RateLimited) and error.code != 0


async def get(at: At, path: str, **params: str) -> dict[str, Any]:
    """Read something. Raises `GraphError`."""
    told: dict[str, Any] = {"token": at.token, "used_for": PUBLISHING, "account_id": at.account_id}
    return await retried(at.host, "GET", at.host.address(path), **told, params=params)


async def post(at: At, path: str, form: dict[str, str]) -> dict[str, Any]:
    """Write something, once. Raises `GraphError`: `OutcomeUnknown` where it may have happened."""
    told: dict[str, Any] = {"token": at.token, "used_for": PUBLISHING, "account_id": at.account_id}
    return await once(at.host, "POST", at.host.address(path), **told, repeatable=False, data=form)


async def delete(at: At, provider_id: str) -> None:
    """Delete a post; it may be asked again. `Refused` with `not_found`: it is gone."""
    told: dict[str, Any] = {"token": at.token, "used_for": PUBLISHING, "account_id": at.account_id}
    await retried(at.host, "DELETE", at.host.address(f"/{provider_id}"), **told)


async def is_there(at: At, provider_id: str) -> bool:
    """Whether the account can see this. Raises `GraphError` where Meta does not tell."""
    try:
        await get(at, f"/{provider_id}", fields="id")
    except Refused as failure:
        if failure.reason != "not_found":
            raise
        return False
    return True


async def comment(at: At, provider_id: str, text: str) -> str:
    """Comment below the account's own post. Done twice it is there twice."""
    return id_of(await post(at, f"/{provider_id}/comments", {"message": text}))


async def own_comments(at: At, provider_id: str, *, words: str) -> list[tuple[str, str]]:
    """Id and words of the newest comments below a post; `words` is what the network calls a comment's text."""
    body = await get(at, f"/{provider_id}/comments", fields=f"id,{words},from", limit="50")
    rows = need(answers.rows(body.get("data")))
    found = []
    for row in rows:
        author = answers.table(row.get("from")) or {}
        if answers.identifier(author.get("id")) == at.account_id:
            found.append((need(answers.identifier(row.get("id"))), answers.text(row.get(words)) or ""))
    return found


def id_of(body: dict[str, Any], name: str = "id") -> str:
    """The id of what was made. Raises `OutcomeUnknown` for an answer without: it was made, and is not known."""
    found = answers.identifier(body.get(name))
    if found is None:
        raise OutcomeUnknown
    return found
