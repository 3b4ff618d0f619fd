"""What came of publications: attempts, what people decide about them, and the quota."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.deps import WaitDep, answer_operation
from app.errors import Conflict, ConnectionNotActive, Forbidden, InvalidInput, NotFound, Unauthenticated
from app.models.operations import OperationOut
from app.models.publication_targets import AttemptOut, AttemptsOut, Decision, Done, QuotaOut, QuotasOut
from app.problems import problems
from app.publishing_errors import CannotBeDeleted, NothingToDecide, NotRetryable
from app.services.publishing import deciding, deleting, quotas

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["publishing"])
Reader = Annotated[Access, Security(label_access, scopes=["publishing:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["publishing:write"])]
TARGET = "/publications/{publication_id}/targets/{target_id}"
ANY = (InvalidInput, Forbidden, NotFound, Unauthenticated)


@router.get("/publications/{publication_id}/attempts", operation_id="listAttempts", responses=problems(*ANY))
async def list_attempts(parts: PartsDep, access: Reader, publication_id: str) -> AttemptsOut:
    """What was done to publish it, at each account, step by step; of its earlier versions too: the newest hundred.

    What was cancelled before anything was done is forgotten when it is scheduled again."""
    found = await deciding.attempts_of(parts.db, access.label_id, publication_id)
    return AttemptsOut(data=[AttemptOut.of(target) for target in found])


@router.post(
    "/publications/{publication_id}/retry",
    operation_id="retryPublication",
    status_code=202,
    responses=problems(*ANY, NotRetryable, ConnectionNotActive, Conflict, BillingReadOnly, PlanLimitReached),
)
async def retry_publication(parts: PartsDep, access: Writer, publication_id: str) -> AttemptsOut:
    """Try again, now, wherever it is certain that nothing was published: `failed`, or `needs_decision`.

    Each account's new attempt is an operation (`operation_id`). Of one that is `unknown`, say first what became of it.
    What has failed everywhere needs a place in its month anew.
    """
    begun = await deciding.retry(
        parts.db, parts.audit, parts.meter, access.label_id, publication_id, by=access.by, now=parts.clock()
    )
    for target in begun:
        await parts.bell.ring(target["operation_id"])
    return AttemptsOut(data=[AttemptOut.of(target) for target in begun])


@router.post(TARGET + "/decide", operation_id="decideOutcome", responses=problems(*ANY, NothingToDecide, Conflict))
async def decide_outcome(
    parts: PartsDep, access: Writer, publication_id: str, target_id: str, body: Decision
) -> AttemptOut:
    """Say of a post that stays `unknown` whether it is there. One that is not can be tried again.

    One that waits for somebody (`needs_decision`, `to_do`) is closed by `not_published`."""
    target = await deciding.decide(
        parts.db,
        parts.audit,
        access.label_id,
        publication_id,
        target_id,
        outcome=body.outcome,
        permalink=body.permalink,
        by=access.by,
        now=parts.clock(),
    )
    return AttemptOut.of(target)


@router.post(TARGET + "/done", operation_id="markPublished", responses=problems(*ANY, NothingToDecide))
async def mark_published(
    parts: PartsDep, access: Writer, publication_id: str, target_id: str, body: Done
) -> AttemptOut:
    """Say that a post is there which was to be published by hand (`to_do`)."""
    where = (access.label_id, publication_id, target_id)
    target = await deciding.mark_done(
        parts.db, parts.audit, *where, permalink=body.permalink, by=access.by, now=parts.clock()
    )
    return AttemptOut.of(target)


@router.delete(
    TARGET + "/post",
    operation_id="deletePost",
    status_code=202,
    responses=problems(*ANY, CannotBeDeleted, Conflict)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def delete_post(
    parts: PartsDep, access: Writer, publication_id: str, target_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Delete a published post at its network: on Facebook, and on Instagram behind a Page where Meta lets us.

    What could not be deleted is tried again by asking again."""
    where = (access.label_id, publication_id, target_id)
    operation = await deleting.queue_deletion(parts.db, parts.audit, *where, by=access.by, now=parts.clock())
    return await answer_operation(parts, operation, wait_s, response)


@router.get("/publishing-quota", operation_id="getPublishingQuota", responses=problems(*ANY))
async def get_publishing_quota(parts: PartsDep, access: Reader) -> QuotasOut:
    """How much of Meta's quota each account has used, as Meta said last; what is older than 5 minutes is asked anew,
    and is there at the next look."""
    found, asked = await quotas.quotas_of(parts.db, access.label_id, now=parts.clock())
    for operation_id in asked:
        await parts.bell.ring(operation_id)
    return QuotasOut(data=[QuotaOut.of(connection) for connection in found])
