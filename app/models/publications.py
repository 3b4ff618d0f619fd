"""Publications, as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from app.models.base import ActorOut, ApiModel, Doc, Flag, Instant, Page, left_out
from app.models.labels import TimeZone
from app.models.public_address import LONGEST, public_http

Kind = Literal["image", "carousel", "reel", "story", "page_post"]
Network = Literal["instagram", "facebook"]
Mode = Literal["automatic", "remind"]
State = Literal[
    "draft",
    "in_review",
    "approved",
    "scheduled",
    "publishing",
    "published",
    "partly_published",
    "failed",
    "unknown",
    "needs_decision",
    "cancelled",
]
TimeRule = Literal["moved_forward", "first_of_two"]
LONGEST_TEXT = 63_206
"""Of any text that a network takes: a Page post's. What a kind takes is told by the validation."""
CONTENT = (
    "kind",
    "mode",
    "targets",
    "assets",
    "caption",
    "alt_texts",
    "first_comment",
    "user_tags",
    "collaborators",
    "location_id",
    "cover",
    "share_to_feed",
    "audio_name",
    "link",
    "late_policy",
    "plan_id",
    "offset",
    "reveals_release",
)
"""What is published and how: a change of any of it is a new version, which must be approved anew."""
TIMING = ("scheduled_at", "timezone", "local_time", "time_rule")


def each_once(ids: list[str]) -> list[str]:
    if len(set(ids)) != len(ids):
        raise ValueError("must hold each only once")
    return ids


def _username(name: str) -> str:
    return name.removeprefix("@")


def _readable(text: str) -> str:
    if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in text):
        raise ValueError("must not hold control characters")
    return text.replace("\r\n", "\n")


def not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _readable(text)


def local_minute(text: str) -> str:
    """A local date and time to the minute. Raises `ValueError` for a day that is not in the calendar."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day and time that the calendar has, like 2027-02-28T18:30") from None
    return found.isoformat(timespec="minutes")


ConnectionId = Annotated[str, Field(min_length=1, max_length=64, examples=["con_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
AssetId = Annotated[str, Field(max_length=64, pattern=r"^ast_[0-9a-z]+$", examples=["ast_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
Text = Annotated[str, Field(max_length=LONGEST_TEXT, examples=["Out on Friday."]), AfterValidator(_readable)]
ShortText = Annotated[str, Field(max_length=5_000), AfterValidator(_readable)]
Username = Annotated[
    str, Field(pattern=r"^@?[A-Za-z0-9._]{1,30}$", examples=["nightjar.records"]), AfterValidator(_username)
]
"""As Instagram has them."""
LocalTime = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(?::00)?$", examples=["2027-02-26T18:30"]),
    AfterValidator(local_minute),
]
"""A day and time on the clocks of a zone."""
ClockTime = Annotated[str, Field(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$", examples=["18:30"])]
Targets = Annotated[list[ConnectionId], Field(min_length=1, max_length=20), AfterValidator(each_once)]
Assets = Annotated[list[AssetId], Field(max_length=20), AfterValidator(each_once)]
PlanId = Annotated[str, Field(min_length=1, max_length=64, examples=["rpl_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
Link = Annotated[
    str,
    Field(max_length=LONGEST, pattern=r"^https?://[^\s]+$", examples=["https://example.com/album"]),
    AfterValidator(public_http),
]


class AltText(ApiModel):
    """What a picture shows, for who does not see it."""

    asset_id: AssetId
    text: ShortText


class UserTag(ApiModel):
    """Somebody who is tagged."""

    username: Username
    asset_id: AssetId | None = None
    """In which picture; left out, in the first."""
    x: Annotated[float, Field(ge=0, le=1)] | None = None
    """Where, from the left edge (0) to the right one (1). Pictures need it."""
    y: Annotated[float, Field(ge=0, le=1)] | None = None
    """From the upper edge (0) to the lower one (1)."""


class Cover(ApiModel):
    """The picture of a reel: one of the label's own, or a frame of it."""

    asset_id: AssetId | None = None
    offset_ms: Annotated[int, Field(ge=0, le=86_400_000, strict=True)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Cover":
        if (self.asset_id is None) == (self.offset_ms is None):
            raise ValueError("needs either asset_id or offset_ms")
        return self


class LatePolicy(ApiModel):
    """What happens when it could not be published in time."""

    publish_within_min: Annotated[int, Field(ge=1, le=10_080, strict=True, examples=[60])] = 60
    """So late it is still published by itself; later, somebody is asked (`needs_decision`)."""


class Offset(ApiModel):
    """When it is published, counted from its plan's release date."""

    days: Annotated[int, Field(ge=-365, le=365, strict=True, examples=[-7])]
    """Before it when negative."""
    time: ClockTime
    timezone: TimeZone | None = None
    """Left out, the label's."""


class PublicationCreate(ApiModel):
    """What to publish. It begins as a draft; what Meta would refuse is told by `POST …/validate`, and refused when it
    is submitted or scheduled."""

    kind: Annotated[Kind, Field(examples=["image"])]
    targets: Targets
    """The connections whose accounts publish it."""
    mode: Mode = "automatic"
    """`remind`: somebody publishes it by hand when it is due, and is told so."""
    assets: Assets = Field(default_factory=list)
    """In their order."""
    caption: Text = ""
    alt_text: ShortText | None = None
    """Of the first picture."""
    alt_texts: Annotated[list[AltText], Field(max_length=20)] = Field(default_factory=list)
    """Of each picture."""
    first_comment: ShortText | None = None
    """Written below it as soon as it is published."""
    user_tags: Annotated[list[UserTag], Field(max_length=100)] = Field(default_factory=list)
    collaborators: Annotated[list[Username], Field(max_length=20)] = Field(default_factory=list)
    location_id: Annotated[str, Field(pattern=r"^\d{1,32}$", examples=["106377336067638"])] | None = None
    """A Page with a place."""
    cover: Cover | None = None
    share_to_feed: Flag | None = None
    """Of a reel: whether the feed shows it too."""
    audio_name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Of a reel: what its sound is called."""
    link: Link | None = None
    """Of a Page post."""
    scheduled_at: Instant | None = None
    """When it is to be published, once it is scheduled; or `local_time`."""
    local_time: LocalTime | None = None
    """The same on the clocks of `timezone`."""
    timezone: TimeZone | None = None
    """Left out, the label's."""
    late_policy: LatePolicy = Field(default_factory=LatePolicy)
    plan_id: PlanId | None = None
    """The release plan that it belongs to."""
    offset: Offset | None = None
    """Instead of a time of its own: it moves with its plan's release date."""
    reveals_release: Flag = False
    """It shows what nobody may know before the release: it cannot be published before the first midnight of its plan,
    nor without one."""


class PublicationChange(ApiModel):
    """What to change; what is left out stays. A changed publication is a draft again."""

    elsewhere: ClassVar[dict[str, str]] = {
        "state": "state is changed by POST …/submit, /approve, /reject, /schedule, /publish-now, /cancel"
    }

    kind: Kind = Field(default_factory=left_out)
    targets: Targets = Field(default_factory=left_out)
    mode: Mode = Field(default_factory=left_out)
    assets: Assets = Field(default_factory=left_out)
    caption: Text = Field(default_factory=left_out)
    alt_text: ShortText | None = None
    """Of the first picture."""
    alt_texts: Annotated[list[AltText], Field(max_length=20)] = Field(default_factory=left_out)
    first_comment: ShortText | None = None
    user_tags: Annotated[list[UserTag], Field(max_length=100)] = Field(default_factory=left_out)
    collaborators: Annotated[list[Username], Field(max_length=20)] = Field(default_factory=left_out)
    location_id: Annotated[str, Field(pattern=r"^\d{1,32}$")] | None = None
    cover: Cover | None = None
    share_to_feed: Flag | None = None
    audio_name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    link: Link | None = None
    scheduled_at: Instant | None = None
    local_time: LocalTime | None = None
    timezone: TimeZone | None = None
    late_policy: LatePolicy = Field(default_factory=left_out)
    plan_id: PlanId | None = None
    offset: Offset | None = None
    reveals_release: Flag = Field(default_factory=left_out)


class DeliveryProblem(ApiModel):
    """Why a target is not published."""

    code: str
    detail: str


class DeliveryOut(ApiModel):
    """How far the publication is at one account."""

    id: Annotated[str, Field(examples=["pbt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    connection_id: str
    network: Network
    state: str
    provider_id: str | None
    """The post's id at the provider, once it is there."""
    permalink: str | None
    problem: DeliveryProblem | None
    operation_id: str | None
    due_at: Instant
    published_at: Instant | None


class PublicationOut(ApiModel):
    """A publication: what is published where, and how far it is."""

    id: Annotated[str, Field(examples=["pub_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    state: State
    version: int
    """Counts every change, those of its state too; it is the `ETag`."""
    content_version: int
    """The version in which its content was changed last: what an approval is of."""
    kind: Kind
    mode: Mode
    targets: list[str]
    assets: list[str]
    caption: str
    alt_text: str | None
    alt_texts: list[AltText]
    """Of each picture: its own here, and as soon as it is submitted or scheduled the file's where it has none here."""
    first_comment: str | None
    user_tags: list[UserTag]
    collaborators: list[str]
    location_id: str | None
    cover: Cover | None
    share_to_feed: bool | None
    audio_name: str | None
    link: str | None
    scheduled_at: Instant | None
    """When it is published, if it is scheduled; before that, when it is meant to be."""
    local_time: str | None
    """The same on the clocks of `timezone`, as it was asked for."""
    timezone: str | None
    time_rule: TimeRule | None
    """`moved_forward`: the clocks jump over the local time that was asked for, and it is published as much later.
    `first_of_two`: the clocks show that time twice, and the first one counts."""
    late_policy: LatePolicy
    plan_id: str | None
    offset: Offset | None
    reveals_release: bool
    slot_id: str | None
    """The slot whose place it has taken."""
    provider_id: str | None
    """The post's id at the provider, where it has one target; of several, `deliveries` has them."""
    permalink: str | None
    operation_id: str | None
    """Of its first target, once it is scheduled."""
    deliveries: list[DeliveryOut]
    """How far it is at each account; empty before it is scheduled."""
    created_by: ActorOut
    submitted_by: ActorOut | None
    approved_by: ActorOut | None
    approved_version: int | None
    """The `content_version` that was approved."""
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, publication: Doc, targets: list[Doc]) -> "PublicationOut":
        """The publication of this document, with its targets."""
        return cls(**shown(publication, targets))


def shown(publication: Doc, targets: list[Doc]) -> Doc:
    """What is shown of a publication and its present targets."""
    copied: dict[str, Any] = {name: publication.get(name) for name in (*CONTENT, *TIMING)}
    deliveries = [_delivery(target) for target in targets]
    only = deliveries[0] if len(deliveries) == 1 else None
    texts: dict[str, str] = {one: kept["alt_text"] for one, kept in (publication.get("shown") or {}).items()}
    texts = {one: text for one, text in (texts | publication["alt_texts"]).items() if text}
    first = publication["assets"][0] if publication["assets"] else None
    return copied | {
        "id": publication["_id"],
        "alt_text": texts.get(first or ""),
        "alt_texts": [AltText(asset_id=one, text=texts[one]) for one in texts],
        "provider_id": only.provider_id if only else None,
        "permalink": only.permalink if only else None,
        "operation_id": deliveries[0].operation_id if deliveries else None,
        "deliveries": deliveries,
        **{name: publication[name] for name in ("state", "version", "content_version", "created_at", "updated_at")},
        **{name: publication.get(name) for name in ("slot_id", "approved_version")},
        **{name: publication.get(name) for name in ("created_by", "submitted_by", "approved_by")},
    }


def _delivery(target: Doc) -> DeliveryOut:
    problem = target.get("problem")
    return DeliveryOut(
        id=target["_id"],
        connection_id=target["connection_id"],
        network=target["network"],
        state=target["state"],
        provider_id=target.get("provider_id"),
        permalink=target.get("permalink"),
        problem=DeliveryProblem(code=problem["code"], detail=problem["detail"]) if problem else None,
        operation_id=target.get("operation_id"),
        due_at=target["due_at"],
        published_at=target.get("published_at"),
    )


class PublicationPage(Page[PublicationOut]):
    """A label's publications, newest first."""
