"""What rules did, would do, and why, as the API shows it. Ids and codes: what a fan wrote is fetched by its id."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.rules import ActionKind, ConditionKind, Id, RuleCreate, When

TargetKind = Literal["message", "comment"]
SpamReason = Literal[
    "link",
    "many_links",
    "shortener",
    "repeated_characters",
    "all_capitals",
    "many_mentions",
    "many_hashtags",
    "bait",
    "same_text",
    "new_author",
    "hidden_characters",
    "lookalike_letters",
]
Skipped = Literal[
    "earlier_rule",
    "too_old",
    "cool_down",
    "budget_used_up",
    "account_paused",
    "rule_stopped",
    "item_gone",
    "not_possible",
]
"""Why an action is not done. `earlier_rule`: a rule before this one does it, or something that it excludes. `too_old`:
it came long after it was written, and nobody answers that. `cool_down`: the rule has answered this fan lately.
`budget_used_up`: the rule has no actions left. `account_paused`: Meta has restricted the account, which rests.
`rule_stopped`: the rule was changed, disabled or deleted before it acted. `item_gone`: it is not there any more.
`not_possible`: it cannot be done; `problem` says why."""
RunState = Literal["pending", "done", "skipped", "failed"]


class RuleTest(ApiModel):
    """A rule to try on what is there: one that is stored, one that is not, or a stored one as it would be changed."""

    rule_id: Id | None = None
    rule: RuleCreate | None = None
    """With `rule_id`, it is tried in that rule's place."""
    limit: Annotated[int, Field(ge=1, le=1000, strict=True, examples=[100])] = 100
    """How many messages or comments to look at, newest first; some fewer where one was told of twice."""
    cursor: Annotated[str, Field(max_length=500)] | None = None
    """The `next_cursor` of the answer before, to look further back."""

    @model_validator(mode="after")
    def _has_one(self) -> "RuleTest":
        if self.rule is None and self.rule_id is None:
            raise ValueError("needs rule_id or rule")
        return self


class TargetOut(ApiModel):
    """What a rule looked at."""

    kind: TargetKind
    id: Annotated[str, Field(examples=["cmt_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    """Fetch it with `GET …/comments/{id}` or `GET …/messages/{id}`."""


class ConditionOut(ApiModel):
    """One condition of the rule, and whether it was true."""

    at: Annotated[str, Field(examples=["of/0", "groups/1/of/2"])]
    """Where it stands in the rule's `conditions`."""
    kind: ConditionKind
    true: bool
    """With `negated` taken into account."""


class ActionOut(ApiModel):
    """One action of the rule."""

    kind: ActionKind
    skipped: Skipped | None
    """Why it is not done; null when it is."""


class SpamOut(ApiModel):
    """How much like spam it looks: the sum of the reasons' points, at most 100."""

    score: int
    reasons: list["SpamReasonOut"]


class SpamReasonOut(ApiModel):
    """One reason."""

    code: SpamReason
    points: int


class TestedOut(ApiModel):
    """What the rule makes of one message or comment."""

    target: TargetOut
    sent_at: Instant
    matched: bool
    conditions: list[ConditionOut]
    actions: list[ActionOut]
    """What it would do; empty when it does not match."""
    spam: SpamOut


class RuleTestOut(ApiModel):
    """What the rule makes of what is there, newest first. Only what it would look at is listed.

    The same function decides that decides later, together with the label's other rules. What depends on the moment is
    not in it: the cool-down, the budget, and whether Meta restricts the account.
    """

    data: list[TestedOut]
    next_cursor: str | None
    """Give it as `cursor` to look further back; null at the end."""
    examined: int
    """How many messages or comments were looked at, those that the rule could not apply to among them."""
    matched: int


class RunActionOut(ApiModel):
    """One action, and what became of it."""

    kind: ActionKind
    state: RunState
    """`done`: it was done here, or is in the hands of `operation_id`, which tells what came of it."""
    reason: Skipped | None
    problem: str | None
    """Why it failed or was not possible, as a stable code."""
    operation_id: str | None


class RunOut(ApiModel):
    """A rule that matched: on what, when, why, and what became of it."""

    id: Annotated[str, Field(examples=["run_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    rule_id: str
    rule_version: int
    when: When
    target: TargetOut
    connection_id: str
    conditions: list[ConditionOut]
    actions: list[RunActionOut]
    at: Instant

    @classmethod
    def of(cls, run: Doc) -> "RunOut":
        """The run of this document."""
        return cls(
            id=run["_id"],
            rule_id=run["rule_id"],
            rule_version=run["rule_version"],
            when=run["when"],
            target=TargetOut(kind=run["target_kind"], id=run["target"]),
            connection_id=run["connection_id"],
            conditions=[ConditionOut(**one) for one in run["conditions"]],
            actions=[RunActionOut(**{name: one[name] for name in RunActionOut.model_fields}) for one in run["actions"]],
            at=run["at"],
        )


class RunPage(Page[RunOut]):
    """What a rule did, newest first; for 30 days."""
