"""The steps of a publication: asked for, approved, scheduled, published now, cancelled."""

from typing import Annotated, Any

from fastapi import APIRouter, Response, Security

from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.deps import VersionsDep, WaitDep
from app.errors import AssetNotReady, ConnectionNotActive, InvalidInput, NotFound, StaleVersion
from app.models.publication_reviews import ApprovalOrder, PublicationScheduled, RejectionOrder, ScheduleOrder
from app.models.publications import PublicationOut
from app.problems import problems
from app.publication_errors import ApprovalNeeded, Embargoed, NoFreeSlot, OwnPublication, PublicationInvalid, WrongState
from app.publishing_deps import answer_publication, answer_scheduled, hand_of
from app.publishing_errors import AlreadyPublishing
from app.services.publications import review, scheduling

router = APIRouter(prefix="/v1/labels/{label_id}/publications/{publication_id}", tags=["publishing"])
Writer = Annotated[Access, Security(label_access, scopes=["publishing:write"])]
Approver = Annotated[Access, Security(label_access, scopes=["publishing:approve"])]
_STEP = (NotFound, StaleVersion, WrongState)
_OUT = (
    *(*_STEP, InvalidInput, PublicationInvalid, ApprovalNeeded, AlreadyPublishing, AssetNotReady, ConnectionNotActive),
    *(BillingReadOnly, PlanLimitReached),
)
ENDED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PublicationScheduled,
        "description": "The same, when all of it ended within the time of `Prefer: wait`",
    }
}


@router.post("/submit", operation_id="submitPublication", responses=problems(*_STEP, PublicationInvalid, AssetNotReady))
async def submit_publication(
    parts: PartsDep, access: Writer, publication_id: str, versions: VersionsDep, response: Response
) -> PublicationOut:
    """Ask for the approval of a draft. What Meta would refuse is refused here, before anybody reads it."""
    found = await review.submit(hand_of(parts, access, versions), publication_id)
    return await answer_publication(parts, found, response)


@router.post("/approve", operation_id="approvePublication", responses=problems(*_STEP, InvalidInput, OwnPublication))
async def approve_publication(
    parts: PartsDep,
    access: Approver,
    publication_id: str,
    versions: VersionsDep,
    response: Response,
    body: ApprovalOrder | None = None,
) -> PublicationOut:
    """Approve a publication as it is: with `If-Match`, as you saw it. Whoever changes it later needs a new approval."""
    found = await review.approve(hand_of(parts, access, versions), publication_id, body.comment if body else None)
    return await answer_publication(parts, found, response)


@router.post("/reject", operation_id="rejectPublication", responses=problems(*_STEP, InvalidInput))
async def reject_publication(
    parts: PartsDep,
    access: Approver,
    publication_id: str,
    versions: VersionsDep,
    response: Response,
    body: RejectionOrder,
) -> PublicationOut:
    """Send a publication back to be changed, and say why."""
    found = await review.reject(hand_of(parts, access, versions), publication_id, body.comment)
    return await answer_publication(parts, found, response)


@router.post(
    "/schedule",
    operation_id="schedulePublication",
    status_code=202,
    responses=problems(*_OUT, Embargoed, NoFreeSlot) | ENDED,
)
async def schedule_publication(
    parts: PartsDep,
    access: Writer,
    publication_id: str,
    versions: VersionsDep,
    wait_s: WaitDep,
    response: Response,
    body: ScheduleOrder | None = None,
) -> PublicationScheduled:
    """Have it published at its time, at another one, or at the next free time of a slot. One that is scheduled already
    gets the new time.

    A local time that the clocks of its zone jump over is published as much later, and of one that they show twice the
    first counts; `time_rule` tells. Warnings refuse nothing.
    """
    hand = hand_of(parts, access, versions)
    order = body or ScheduleOrder()
    if order.next_free_slot:
        scheduled = await scheduling.schedule_in_slot(hand, publication_id, order.slot_id)
    else:
        given = order.model_dump(include={"scheduled_at", "local_time", "timezone"})
        scheduled = await scheduling.schedule(hand, publication_id, given)
    return await answer_scheduled(parts, scheduled, wait_s, response)


@router.post(
    "/publish-now",
    operation_id="publishPublicationNow",
    status_code=202,
    responses=problems(*_OUT, Embargoed) | ENDED,
)
async def publish_publication_now(
    parts: PartsDep, access: Writer, publication_id: str, versions: VersionsDep, wait_s: WaitDep, response: Response
) -> PublicationScheduled:
    """Have it published at once, whatever time it has."""
    scheduled = await scheduling.publish_now(hand_of(parts, access, versions), publication_id)
    return await answer_scheduled(parts, scheduled, wait_s, response)


@router.post("/cancel", operation_id="cancelPublication", responses=problems(*_STEP, AlreadyPublishing))
async def cancel_publication(
    parts: PartsDep, access: Writer, publication_id: str, versions: VersionsDep, response: Response
) -> PublicationOut:
    """Have it not published. It can be changed, or scheduled again; what has begun to be published stays."""
    found = await scheduling.cancel(hand_of(parts, access, versions), publication_id)
    return await answer_publication(parts, found, response)
