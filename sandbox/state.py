"""What the sandbox knows. It changes only by applying journal rows (apply.py)."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sandbox.journal import Row
from sandbox.posted_state import Posted
from sandbox.spotify_state import SpotifyWorld

Millis = Annotated[int, Field(gt=0, lt=4_102_444_800_000)]
"""A time in milliseconds since 1970, before the year 2100."""
Probability = Annotated[float, Field(ge=0, le=1)]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from exc
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
FaultKind = Literal[
    "error", "http", "html", "empty", "slow", "lost", "500-executed", "error-executed", "200-not-executed"
]


@dataclass
class Code:
    """An authorization code: one hour, one use."""

    account_id: str
    redirect_uri: str
    scopes: list[str]
    issued_ms: int
    used: bool = False


@dataclass
class Token:
    """An access token: of an Instagram account, of a Facebook person, or of a person for one Page."""

    value: str
    account_id: str
    """Whom it speaks for: an Instagram account, a person, or a Page."""
    scopes: list[str]
    lifetime: str
    issued_ms: int
    expires_ms: int
    """0 means never."""
    dead_subcode: int | None = None
    """Why it was revoked: 458 app removed, 460 password changed, 492 role on the Page lost."""
    host: str = "graph.instagram.com"
    kind: Literal["instagram_user", "user", "page"] = "instagram_user"
    person_id: str = ""
    """Of a Facebook token: who logged in."""


@dataclass
class Grant:
    """What one Facebook person has allowed the app."""

    permissions: dict[str, str]
    """By name: `granted`, `declined` or `expired`."""
    pages: list[str] | None
    """The Pages chosen in the dialog; `None` is all, also later ones."""
    login_ms: int


@dataclass
class Message:
    """One direct message."""

    mid: str
    account_id: str
    fan_id: str
    from_fan: bool
    sent_ms: int
    text: str | None = None
    attachments: list[dict[str, Any]] = field(default_factory=list)
    reply_to: dict[str, Any] | None = None
    unsupported: bool = False
    deleted: bool = False
    num_edit: int = 0
    reactions: dict[str, str] = field(default_factory=dict)
    """By the id of who reacted."""


@dataclass
class Thread:
    """What one account and one fan said to each other."""

    id: str
    account_id: str
    fan_id: str
    mids: list[str] = field(default_factory=list)
    last_inbound_ms: int | None = None
    updated_ms: int = 0
    elsewhere: bool = False
    """Another app owns the thread."""
    blocked: bool = False
    """The fan cannot be reached."""


@dataclass
class Comment:
    """A comment on a media of one of our accounts."""

    id: str
    account_id: str
    media_id: str
    author_id: str
    username: str
    text: str
    created_ms: int
    parent_id: str | None = None
    hidden: bool = False
    answered_privately: bool = False


@dataclass
class Mention:
    """A comment on others' media, or a caption of theirs, that names one of our accounts."""

    account_id: str
    media_id: str
    username: str
    text: str
    created_ms: int


@dataclass
class Webhook:
    """One update that Meta owes the product."""

    id: str
    account_id: str
    field: str
    form: Literal["messaging", "standby", "changes"]
    value: dict[str, Any]
    object: Literal["instagram", "page"] = "instagram"
    app: Literal["instagram", "meta"] = "instagram"
    """Whose secret signs it."""


class ControlModel(BaseModel):
    """Something a control call may set."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class DeliveryPlan(ControlModel):
    """How webhooks are delivered."""

    duplicate: Probability = 0
    """Chance that a delivered update is delivered once more."""
    reorder: Probability = 0
    """Chance that an update is held back up to a second, so that later ones overtake it."""
    drop: Probability = 0
    """Chance that an update is never delivered."""
    rebatch: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=1000)]] = (1, 1)
    """Fewest and most updates in one POST; fewer go out when fewer are due."""
    delay_s: float = Field(default=0, ge=0)
    pause: bool = False
    shape: Literal["changes", "flat"] = "changes"
    seed: int = 1


class Options(ControlModel):
    """Where Meta is known to vary, which way it goes here."""

    exchange_shape: Literal["wrapped", "flat"] = "wrapped"
    """Of Instagram's code exchange, as are the next two."""
    exchange_permissions: Literal["string", "list"] = "string"
    exchange_user_id: Literal["string", "number"] = "string"
    me_shape: Literal["flat", "wrapped"] = "flat"
    refresh_kills_old: bool = False
    human_agent: bool = True
    """Whether the app has the Human Agent feature."""
    sending_barred: bool = False
    """Whether Meta lets no account of ours send anything (10/1893063)."""
    comment_id_key: Literal["id", "comment_id"] = "id"
    require_proof: bool = False
    """Whether graph.facebook.com wants an `appsecret_proof` with every token of a person or Page."""
    facebook_expires_in: Literal["given", "missing"] = "given"
    """Whether the exchange for a long-lived Facebook token says `expires_in`."""
    facebook_code_token: Literal["short", "long"] = "short"
    """How long the token lives that a Facebook code is exchanged for: an hour or two, or 60 days."""
    revoke_answer: Literal["true", "object"] = "object"
    """How the end of permissions is answered: bare `true`, or `{"success":true}`."""


class InsightsPlan(ControlModel):
    """How insights behave."""

    retired: list[str] = []
    """Metrics that Meta has withdrawn: a call that names one is refused whole."""
    lag_h: float = Field(default=0, ge=0, le=100)
    """How many hours after its end a day has figures."""
    missing_days: list[str] = []
    """Days of which there are none."""
    small: list[str] = []
    """Accounts, by name, with fewer than 100 followers and engagements."""
    few_viewers: list[str] = []
    """Media that fewer than five have seen."""
    before_professional: list[str] = []
    """Media from before their account was professional."""
    on_facebook: list[str] = []
    """Media that were shared to Facebook too."""


class FaultMatch(ControlModel):
    """Which calls a fault hits; what is left out matches all."""

    path: Pattern = ""
    """A regular expression searched in the path, host prefix and version included."""
    method: str | None = None
    account: str | None = None
    """An account, Page or person, by name or id: whose token makes the call, or whom the path names."""


class Fault(ControlModel):
    """A fault waiting for calls."""

    match: FaultMatch = FaultMatch()
    fault: FaultKind
    code: int | None = Field(default=None, ge=-99_999_999, le=99_999_999)
    """The Graph error code (`error`, `error-executed`) or HTTP status (`http`)."""
    subcode: int | None = Field(default=None, ge=0, le=99_999_999)
    seconds: float = Field(default=0, ge=0, le=600)
    retry_after_s: int | None = Field(default=None, ge=0, le=999_999)
    """What `Retry-After` of an `http` fault says; null leaves the header out."""
    reason: str | None = Field(default=None, pattern=r"^[A-Z_]{1,40}$")
    """Makes an `http` fault's body JSON with this `reason`, as Spotify's `QUOTA_EXCEEDED`."""
    times: int | None = Field(default=1, ge=1)
    """How many calls it hits; null for all until cleared."""
    id: int = 0


@dataclass
class World:
    """All state. `seq` is the newest row's number; it and `issued` go on through a reset."""

    seq: int = 0
    offset_ms: int = 0
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    """Every code and token ever issued, also before a reset."""
    subscriptions: dict[str, list[str]] = field(default_factory=dict)
    """By Instagram account or Page."""
    grants: dict[str, Grant] = field(default_factory=dict)
    """By Facebook person."""
    page_tokens: dict[str, str] = field(default_factory=dict)
    """By `user token/Page`: the newest Page token made for it."""
    roles: dict[str, list[str]] = field(default_factory=dict)
    """By `person/Page`: the tasks, where they are no longer the seed's."""
    links: dict[str, str | None] = field(default_factory=dict)
    """By Page: its Instagram account, where it is no longer the seed's."""
    checkpointed: set[str] = field(default_factory=set)
    """People who must first act in Facebook itself (190/459)."""
    threads: dict[str, Thread] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    comments: dict[str, Comment] = field(default_factory=dict)
    comments_of: dict[str, list[str]] = field(default_factory=dict)
    """By media, oldest first."""
    comments_off: set[str] = field(default_factory=set)
    restricted: set[str] = field(default_factory=set)
    """Who an account has restricted, by their id there: lists of comments leave theirs out."""
    mentions: dict[str, Mention] = field(default_factory=dict)
    outbox: dict[str, Webhook] = field(default_factory=dict)
    delivered: int = 0
    dropped: int = 0
    given_up: int = 0
    ledger: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    usage_headers: dict[str, str] = field(default_factory=dict)
    plan: DeliveryPlan = field(default_factory=DeliveryPlan)
    options: Options = field(default_factory=Options)
    posted: Posted = field(default_factory=Posted)
    insights: InsightsPlan = field(default_factory=InsightsPlan)
    spotify: SpotifyWorld = field(default_factory=SpotifyWorld)
