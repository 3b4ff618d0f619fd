"""Rules, as the API shows and takes them."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from app.models.base import ApiModel, Doc, Flag, Instant, Page, left_out
from app.models.conversations import Tag
from app.models.labels import TimeZone

TEXT_BYTES = 1000
When = Literal["message", "story_reply", "mention", "comment"]
ConditionKind = Literal[
    "words",
    "pattern",
    "links",
    "emoji_only",
    "first_contact",
    "language",
    "hours",
    "account",
    "author",
    "spam",
]
ActionKind = Literal[
    "hide",
    "unhide",
    "delete",
    "flag",
    "reply",
    "private_reply",
    "saved_reply",
    "tag",
    "assign",
    "close",
    "notify",
]
Match = Literal["all", "any"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ACTIONS_OF: dict[When, frozenset[ActionKind]] = {
    "message": frozenset(("reply", "saved_reply", "tag", "assign", "close", "notify")),
    "story_reply": frozenset(("reply", "saved_reply", "tag", "assign", "close", "notify")),
    "mention": frozenset(("reply", "saved_reply", "notify")),
    "comment": frozenset(("hide", "unhide", "delete", "flag", "reply", "private_reply", "saved_reply", "notify")),
}
"""What can be done with what: nobody hides a message, and a comment is in no conversation."""
REPLIES: frozenset[ActionKind] = frozenset(("reply", "private_reply", "saved_reply"))
_FIELDS: dict[ConditionKind, tuple[set[str], set[str]]] = {
    "words": ({"words"}, {"match"}),
    "pattern": ({"pattern"}, set()),
    "links": (set(), {"hosts", "hosts_are"}),
    "emoji_only": (set(), set()),
    "first_contact": (set(), set()),
    "language": ({"languages"}, set()),
    "hours": ({"hours"}, {"timezone"}),
    "account": ({"connection_ids"}, set()),
    "author": ({"handles"}, set()),
    "spam": ({"score"}, set()),
}
"""Of each kind of condition the fields that it needs, and those that it may have."""
_PARTS: dict[ActionKind, tuple[set[str], set[str]]] = {
    "reply": ({"text"}, set()),
    "private_reply": (set(), {"text", "saved_reply_id"}),
    "saved_reply": ({"saved_reply_id"}, set()),
    "tag": ({"tag"}, set()),
    "assign": ({"assignee"}, set()),
}


def _fits(text: str) -> str:
    if len(text.encode()) > TEXT_BYTES:
        raise ValueError(f"must be at most {TEXT_BYTES} bytes of UTF-8 (Meta's limit)")
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _host(name: str) -> str:
    return name.casefold().removeprefix("www.")


def _handle(name: str) -> str:
    return name.casefold().removeprefix("@")


Minute = Annotated[str, Field(pattern=r"^(?:[01]\d|2[0-3]):[0-5]\d$", examples=["09:00"])]
Word = Annotated[str, Field(min_length=1, max_length=100, examples=["presale"])]
Host = Annotated[str, Field(min_length=3, max_length=253, examples=["bandcamp.com"]), AfterValidator(_host)]
Handle = Annotated[str, Field(min_length=1, max_length=64, examples=["nightjar.fan"]), AfterValidator(_handle)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", examples=["en"])]
Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=100, examples=["Hide links of strangers"])]


class Interval(ApiModel):
    """A time of some days of the week."""

    days: Annotated[list[Weekday], Field(min_length=1, max_length=7, examples=[["mon", "tue"]])]
    starts: Minute
    ends: Annotated[Minute, Field(examples=["18:00"])]
    """Not itself part of it. At or before `starts`, it is of the next day."""


class Condition(ApiModel):
    """One thing that is true of a message or comment, or not. Only the fields that its `kind` has may be given."""

    kind: Annotated[ConditionKind, Field(examples=["emoji_only"])]
    negated: Flag = False
    """True when the rest is not."""
    words: Annotated[list[Word], Field(min_length=1, max_length=50)] | None = None
    """Of `words`. Case does not matter; of an entry of several words all must be there."""
    match: Match | None = None
    """Of `words`: whether all of them must be there, or any (which it is when left out)."""
    pattern: Annotated[str, Field(min_length=1, max_length=500, examples=["free\\s+followers"])] | None = None
    """Of `pattern`: as RE2 takes it, without regard to case, anywhere in the text."""
    hosts: Annotated[list[Host], Field(min_length=1, max_length=50)] | None = None
    """Of `links`: sites, with everything below them. Left out, any link will do."""
    hosts_are: Literal["allowed", "denied"] | None = None
    """Of `links`: with `denied` (which it is when left out) true of a link to one of the hosts, with `allowed` of one
    that leads elsewhere."""
    languages: Annotated[list[Language], Field(min_length=1, max_length=20)] | None = None
    """Of `language`: true when the text may be in one of them. `und` is what has hardly a letter."""
    hours: Annotated[list[Interval], Field(min_length=1, max_length=20)] | None = None
    """Of `hours`: when it was written, by the provider's time."""
    timezone: TimeZone | None = None
    """Of `hours`; left out, the label's."""
    connection_ids: Annotated[list[Id], Field(min_length=1, max_length=50)] | None = None
    """Of `account`: through which of the label's connections it came."""
    handles: Annotated[list[Handle], Field(min_length=1, max_length=200)] | None = None
    """Of `author`: who wrote it, by username."""
    score: Annotated[int, Field(ge=1, le=100, strict=True, examples=[60])] | None = None
    """Of `spam`: at least so much."""

    @model_validator(mode="after")
    def _has_its_fields(self) -> "Condition":
        needed, allowed = _FIELDS[self.kind]
        _check_fields(self, needed, needed | allowed | {"kind", "negated"})
        if self.hosts_are and not self.hosts:
            raise ValueError("needs hosts where it says what they are")
        return self


class ConditionGroup(ApiModel):
    """Conditions that count as one."""

    match: Match = "all"
    negated: Flag = False
    of: Annotated[list[Condition], Field(min_length=1, max_length=20)]


class Conditions(ApiModel):
    """When a rule matches. Without any condition it matches everything."""

    match: Match = "all"
    of: Annotated[list[Condition], Field(max_length=20)] = Field(default_factory=list)
    groups: Annotated[list[ConditionGroup], Field(max_length=10)] = Field(default_factory=list)


class Action(ApiModel):
    """One thing to do. Only the fields that its `kind` has may be given."""

    kind: Annotated[ActionKind, Field(examples=["notify"])]
    text: Annotated[str, AfterValidator(_fits), Field(max_length=TEXT_BYTES)] | None = None
    """Of `reply` and `private_reply`: at most 1000 bytes of UTF-8."""
    saved_reply_id: Id | None = None
    """Of `saved_reply`, and of `private_reply` instead of a text."""
    tag: Tag | None = None
    """Of `tag`."""
    assignee: Annotated[str, Field(max_length=40, pattern=r"^usr_")] | None = None
    """Of `assign`."""

    @model_validator(mode="after")
    def _has_its_fields(self) -> "Action":
        needed, allowed = _PARTS.get(self.kind, (set(), set()))
        _check_fields(self, needed, needed | allowed | {"kind"})
        if self.kind == "private_reply" and (self.text is None) == (self.saved_reply_id is None):
            raise ValueError("needs either text or saved_reply_id")
        return self


class Budget(ApiModel):
    """How many actions a rule may do. When they are used up, it is paused until somebody enables it again, which begins
    the count anew."""

    per_hour: Annotated[int, Field(ge=1, le=100_000, strict=True, examples=[200])] = 200
    per_day: Annotated[int, Field(ge=1, le=1_000_000, strict=True, examples=[1000])] = 1000


Actions = Annotated[list[Action], Field(min_length=1, max_length=10, examples=[[{"kind": "notify"}]])]
Position = Annotated[int, Field(ge=0, le=10_000, strict=True, examples=[100])]
CoolDown = Annotated[int, Field(ge=0, le=720, strict=True, examples=[24])]


class RuleCreate(ApiModel):
    """A new rule. Rules answer as a machine: none can use the human-agent window."""

    name: Name
    enabled: Flag = True
    when: When
    """`message` is any message, `story_reply` only an answer to a story."""
    conditions: Conditions = Field(default_factory=Conditions)
    actions: Actions
    position: Position = 100
    """Rules are asked in this order."""
    stop: Flag = False
    """Whether a match keeps the rules behind it from looking."""
    cool_down_hours: CoolDown = 24
    """For how long the rule does not answer the same fan again."""
    budget: Budget = Field(default_factory=Budget)

    @model_validator(mode="after")
    def _actions_fit(self) -> "RuleCreate":
        check_actions(self.when, self.actions)
        return self

    def stored(self) -> Doc:
        """As it is stored."""
        return self.model_dump(exclude_none=True)


class BudgetChange(ApiModel):
    """What to change of it; what is left out stays."""

    per_hour: Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(default_factory=left_out)
    per_day: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = Field(default_factory=left_out)


class RuleChange(ApiModel):
    """What to change; what is left out stays. `enabled: true` also lets a paused rule go on."""

    name: Name = Field(default_factory=left_out)
    enabled: Flag = Field(default_factory=left_out)
    when: When = Field(default_factory=left_out)
    conditions: Conditions = Field(default_factory=left_out)
    actions: Actions = Field(default_factory=left_out)
    position: Position = Field(default_factory=left_out)
    stop: Flag = Field(default_factory=left_out)
    cool_down_hours: CoolDown = Field(default_factory=left_out)
    budget: BudgetChange = Field(default_factory=left_out)

    def stored(self) -> Doc:
        """What was given, as it is stored."""
        told = self.model_dump(exclude_none=True)
        changes = {name: told[name] for name in self.model_fields_set}
        return changes | ({"budget": self.budget.model_dump(exclude_unset=True)} if "budget" in changes else {})


class RulePause(ApiModel):
    """Why a rule does nothing though it is enabled."""

    reason: Literal["budget_used_up", "not_valid"]
    at: Instant


class RuleOut(ApiModel):
    """A rule."""

    id: Annotated[str, Field(examples=["rul_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    enabled: bool
    paused: RulePause | None
    when: When
    conditions: Conditions
    actions: list[Action]
    position: int
    stop: bool
    cool_down_hours: int
    budget: Budget
    version: int
    created_by: str
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, rule: Doc) -> "RuleOut":
        """The rule of this document."""
        return cls(id=rule["_id"], **{name: rule[name] for name in cls.model_fields if name != "id"})


class RulePage(Page[RuleOut]):
    """Rules, in the order in which they are asked."""


def check_actions(when: When, actions: list[Action]) -> None:
    """Raise `ValueError` for an action that there is not for this, or that is there twice."""
    kinds = [action.kind for action in actions]
    wrong = sorted(set(kinds) - ACTIONS_OF[when])
    if wrong:
        raise ValueError(f"when: {when} has no action {', '.join(wrong)}")
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1 and kind != "tag"})
    if twice:
        raise ValueError(f"has the action {', '.join(twice)} twice")
    if len(REPLIES.intersection(kinds)) > 1 or len({"hide", "unhide", "delete"}.intersection(kinds)) > 1:
        raise ValueError("has two actions of which only one can be done")


def _check_fields(model: ApiModel, needed: set[str], allowed: set[str]) -> None:
    given = {name for name in type(model).model_fields if getattr(model, name) is not None}
    if needed - given:
        raise ValueError(f"needs {', '.join(sorted(needed - given))}")
    if given - allowed:
        raise ValueError(f"has no {', '.join(sorted(given - allowed))} in this kind")


WHENS: tuple[When, ...] = get_args(When)
