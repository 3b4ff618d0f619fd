"""One's own rights: the requests, the end of the account, restriction and objection."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from app import cursors
from app.access import SIGNED, FreshPersonDep, PartsDep, PersonDep
from app.db import Doc
from app.deps import PagingDep
from app.errors import InvalidCursor, InvalidInput, InvalidToken, LastOwner, NotFound, ReauthenticationRequired
from app.models.erasure import BlockedBy, ErasedPart, ErasureBegun, ErasureCancel, ErasurePreview, KeptPart
from app.models.privacy_requests import (
    ObjectionCreate,
    ObjectionPurpose,
    RequestOut,
    RequestPage,
    SignedReceipt,
    StandingOut,
)
from app.parts import Parts
from app.problems import problems
from app.routers.people import somebody
from app.services.labels import labels
from app.services.people import accounts
from app.services.privacy import erasure, receipts, requests, standing, whose

router = APIRouter(prefix="/v1/me", tags=["privacy"])
RequestId = Annotated[str, Path(max_length=64, examples=["prq_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


def signed(parts: Parts, request: Doc) -> SignedReceipt | None:
    """The request's receipt under today's key; none while there is none."""
    receipt = request["receipt"]
    return SignedReceipt(receipt=receipt, jws=parts.signer.sign_receipt(receipt)) if receipt else None


@router.get("/requests", operation_id="listMyRequests", responses=problems(InvalidInput, InvalidCursor))
async def list_my_requests(parts: PartsDep, person: PersonDep, paging: PagingDep) -> RequestPage:
    """Every request about the caller's data, the newest first: its state, when it is due, and its receipt."""
    place = f"requests:{person.user_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await requests.of_person(parts.db, person.user_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return RequestPage(data=[RequestOut.of(one, signed(parts, one)) for one in page], next_cursor=following)


@router.get("/requests/{request_id}", operation_id="getMyRequest", responses=problems(NotFound))
async def get_my_request(parts: PartsDep, person: PersonDep, request_id: RequestId) -> RequestOut:
    """One request of the caller's."""
    found = await requests.need_of_person(parts.db, person.user_id, request_id)
    return RequestOut.of(found, signed(parts, found))


@router.get("/erasure", operation_id="previewErasure")
async def preview_erasure(parts: PartsDep, person: PersonDep) -> ErasurePreview:
    """What an erasure of the caller's account would do now: what goes, what stays and why, and what is in its way."""
    blocked = [await labels.need_label(parts.db, one) for one in await erasure.blocked_by(parts.db, person.user_id)]
    erases, keeps = await _parts_of(parts, person.user_id)
    return ErasurePreview(
        grace_days=erasure.GRACE.days,
        blocked_by=[BlockedBy(label_id=label["_id"], name=label["name"]) for label in blocked],
        erases=erases,
        keeps=keeps,
    )


@router.post(
    "/erasure",
    operation_id="beginErasure",
    status_code=202,
    responses=problems(LastOwner, ReauthenticationRequired),
)
async def begin_erasure(parts: PartsDep, person: FreshPersonDep) -> ErasureBegun:
    """Erase the caller's account and everything of theirs. Needs a fresh log-in.

    From this moment nobody is logged in to it, or can be. For seven days the link in the mail keeps it after all; then
    everything goes that `erases` names. Who is a label's only owner makes somebody else one first, or deletes it.
    """
    erases, keeps = await _parts_of(parts, person.user_id)
    where = f"{parts.settings.public_url}/erasure/"
    begun = await erasure.begin(parts.db, parts.audit, person.user_id, receipts=where, by=person.by, now=parts.clock())
    await parts.note_outside("erasure_asked", person.user_id)
    return ErasureBegun(
        request_id=begun.request["_id"],
        erases_at=begun.request["received_at"] + erasure.GRACE,
        confirmation_code=begun.code,
        receipt_url=f"{where}{begun.code}",
        erases=erases,
        keeps=keeps,
    )


@router.delete(
    "/erasure",
    operation_id="cancelErasure",
    openapi_extra=SIGNED,
    status_code=204,
    responses=problems(InvalidInput, InvalidToken),
)
async def cancel_erasure(parts: PartsDep, request: Request, body: ErasureCancel) -> None:
    """Keep the account after all, by the token of the mail. Its person logs in again as before."""
    token = body.token.get_secret_value()
    user_id = await erasure.cancel(parts.db, parts.audit, token, by=somebody(request), now=parts.clock())
    await parts.note_outside("erasure_cancelled", user_id)


@router.get("/restriction", operation_id="getRestriction")
async def get_restriction(parts: PartsDep, person: PersonDep) -> StandingOut:
    """Whether the use of the caller's data is restricted, and to what they object."""
    return StandingOut(**await standing.of(parts.db, person.user_id))


@router.post("/restriction", operation_id="restrict")
async def restrict(parts: PartsDep, person: PersonDep) -> StandingOut:
    """Have the caller's data stored and exportable, and nothing else done with them.

    No figures, no advertising, no mail that is not required, no rule that gives them work. What they do themselves
    works as before.
    """
    found = await standing.restrict(parts.db, parts.audit, person.user_id, by=person.by, now=parts.clock())
    await parts.note_outside("use_ended", f"{person.user_id}:{standing.RESTRICTION}")
    return StandingOut(**found)


@router.delete("/restriction", operation_id="liftRestriction")
async def lift_restriction(parts: PartsDep, person: PersonDep) -> StandingOut:
    """End the restriction."""
    found = await standing.lift(parts.db, parts.audit, person.user_id, by=person.by, now=parts.clock())
    await parts.note_outside("use_allowed", f"{person.user_id}:{standing.RESTRICTION}")
    return StandingOut(**found)


@router.post("/objections", operation_id="object", responses=problems(InvalidInput))
async def object_to(parts: PartsDep, person: PersonDep, body: ObjectionCreate) -> StandingOut:
    """Object to a purpose: it ends at once."""
    db, log, now = parts.db, parts.audit, parts.clock()
    found = await standing.object_to(db, log, person.user_id, body.purpose, by=person.by, now=now)
    await parts.note_outside("use_ended", f"{person.user_id}:{body.purpose}")
    return StandingOut(**found)


@router.delete("/objections/{purpose}", operation_id="withdrawObjection", responses=problems(InvalidInput, NotFound))
async def withdraw_objection(parts: PartsDep, person: PersonDep, purpose: ObjectionPurpose) -> StandingOut:
    """Take an objection back."""
    db, log, now = parts.db, parts.audit, parts.clock()
    found = await standing.withdraw(db, log, person.user_id, purpose, by=person.by, now=now)
    await parts.note_outside("use_allowed", f"{person.user_id}:{purpose}")
    return StandingOut(**found)


async def _parts_of(parts: Parts, user_id: str) -> tuple[list[ErasedPart], list[KeptPart]]:
    """What an erasure would do now."""
    user = await accounts.need_user(parts.db, user_id)
    subject = await whose.subject_of(parts.db, user, now=parts.clock())
    counts = await whose.count(parts.db, subject)
    erases = [ErasedPart(**row) for row in receipts.erased(counts)]
    return erases, [KeptPart(**row) for row in receipts.kept()]
