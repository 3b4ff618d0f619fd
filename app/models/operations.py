"""Operations, as the API shows them."""

from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page
from app.models.connection_accounts import ChoiceResult

OperationKind = Literal[
    "exchange_code",
    "choose_accounts",
    "refresh_token",
    "check_connection",
    "sync_webhooks",
    "disconnect",
    "send_reply",
    "fetch_profile",
    "react",
    "show_typing",
    "stop_typing",
    "mark_seen",
    "backfill",
    "comment_action",
    "switch_comments",
    "check_comments",
    "read_insights",
    "publish",
    "delete_post",
    "clear_prepared",
    "read_quota",
    "send_mail",
    "delete_label",
    "erase_person",
    "look_for_erased",
    "erase_fan",
    "check_asset",
    "render_asset",
    "tidy_asset",
    "delete_asset",
    "billing_sync",
    "billing_reconcile",
    "billing_checkout",
    "billing_portal",
    "billing_preview",
    "billing_change",
    "billing_details",
    "export_person",
    "export_label",
    "forget_usage",
    "forward_usage",
    "sum_usage",
    "send_campaign",
]
OperationState = Literal["queued", "running", "succeeded", "failed", "unknown", "cancelled"]


class OperationProblem(ApiModel):
    """Why an operation is not done."""

    code: str
    detail: str


class OperationOut(ApiModel):
    """Deferred work and what came of it."""

    id: Annotated[str, Field(examples=["op_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    kind: OperationKind
    state: OperationState
    """`unknown`: it may have happened; it is being reconciled, or a person decides (`due_at` is null)."""
    target: str
    """The id of what it is about."""
    due_at: Instant | None
    attempts: int
    result: dict[str, str | int | list[ChoiceResult] | None] | None
    problem: OperationProblem | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, operation: Doc) -> "OperationOut":
        """The operation of this document."""
        return cls(
            id=operation["_id"],
            kind=operation["kind"],
            state=operation["state"],
            target=operation["target"],
            due_at=operation.get("due_at"),
            attempts=operation["attempts"],
            result=operation["result"],
            problem=OperationProblem(**operation["problem"]) if operation["problem"] else None,
            created_at=operation["created_at"],
            updated_at=operation["updated_at"],
        )


class OperationPage(Page[OperationOut]):
    """A label's operations."""
