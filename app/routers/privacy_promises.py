"""The promises of the privacy policy: whether each holds, for programs and for people; and their attestations."""

from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import HTMLResponse

from app import cursors, promise_page
from app.access import ANYBODY, PartsDep
from app.deps import PagingDep, content_tag
from app.errors import InvalidCursor, InvalidInput, NotFound
from app.models.base import ApiModel, Page
from app.models.promises import AttestationOut, PromiseDay, PromiseOut, PromisesOut
from app.problems import problems
from app.services.promises import attesting
from app.services.promises.showing import Day, State

router = APIRouter(tags=["privacy"])
SEEN = Annotated[str | None, Header(description="The `ETag` that you saw: `304` if it is the same")]
SAME: dict[int | str, dict[str, Any]] = {304: {"description": "It is as you have seen it"}}
CACHED = "public, max-age=60"
ATTESTATIONS = "attestations"
TOLD = ("day", "sha256", "broken", "jws")
T = TypeVar("T", bound=ApiModel)


@router.get(
    "/v1/privacy/promises",
    operation_id="listPromises",
    openapi_extra=ANYBODY,
    response_model=PromisesOut,
    responses=SAME,
)
async def list_promises(parts: PartsDep, response: Response, if_none_match: SEEN = None) -> PromisesOut | Response:
    """Every commitment of the privacy policy, and whether it holds.

    Workers measure them on the live system, every few minutes or every hour; this shows what they found.
    """
    now = parts.clock()
    states, days = await parts.promises.states(now), await parts.promises.days(now)
    broken = [state.promise.id for state in states if not state.holding]
    shown = [shown_of(state, days.get(state.promise.id, [])) for state in states]
    return cached(PromisesOut(holding=not broken, broken=broken, data=shown), response, if_none_match)


@router.get(
    "/v1/privacy/promises/{promise_id}",
    operation_id="getPromise",
    openapi_extra=ANYBODY,
    response_model=PromiseOut,
    responses=problems(NotFound) | SAME,
)
async def get_promise(
    parts: PartsDep,
    response: Response,
    promise_id: Annotated[str, Path(max_length=64, examples=["messages-30-days"])],
    if_none_match: SEEN = None,
) -> PromiseOut | Response:
    """One commitment, with the worst of each day of the last 13 months."""
    now = parts.clock()
    found = [state for state in await parts.promises.states(now) if state.promise.id == promise_id]
    if not found:
        raise NotFound
    return cached(shown_of(found[0], await parts.promises.days_of(promise_id, now)), response, if_none_match)


@router.get(
    "/v1/privacy/attestations",
    operation_id="listAttestations",
    openapi_extra=ANYBODY,
    responses=problems(InvalidCursor, InvalidInput),
)
async def list_attestations(parts: PartsDep, response: Response, paging: PagingDep) -> Page[AttestationOut]:
    """What was signed of the promises, day by day, the newest first; kept for good.

    Each names the hash of the one before. `./soundops attestations verify` checks the whole chain against
    `/.well-known/jwks.json`.
    """
    key = parts.cursor_key
    before = cursors.decode(key, ATTESTATIONS, paging.cursor)[0] if paging.cursor else None
    found = await attesting.page_of(parts.db, before=before, limit=paging.limit + 1)
    page, cursor = cursors.cut(key, ATTESTATIONS, found, ["_id"], limit=paging.limit)
    response.headers["Cache-Control"] = CACHED
    rows = [AttestationOut(seq=one["_id"], **{name: one[name] for name in TOLD}) for one in page]
    return Page(data=rows, next_cursor=cursor)


@router.get(
    "/privacy/promises",
    operation_id="getPromisesPage",
    openapi_extra=ANYBODY,
    response_class=HTMLResponse,
)
async def get_promises_page(parts: PartsDep) -> HTMLResponse:
    """The promises, for people: a page without scripts, with what each has measured over the last 30 days."""
    now = parts.clock()
    states, days = await parts.promises.states(now), await parts.promises.days(now)
    return HTMLResponse(promise_page.page_of(states, days, now=now), headers=promise_page.HEADERS)


def shown_of(state: State, days: list[Day]) -> PromiseOut:
    """A promise as it is shown."""
    promise = state.promise
    return PromiseOut(
        id=promise.id,
        section=promise.section,
        quote=promise.quote,
        statement=promise.plain,
        rule=promise.rule,
        holding=state.holding,
        state="not_measured" if not state.is_measured else "holding" if state.holding else "broken",
        figure=state.figure,
        allowed=state.allowed,
        unit=promise.unit,
        detail="" if not state.is_measured else state.detail,
        checked_at=state.checked_at,
        since=state.since,
        checked_every_s=int(promise.every.total_seconds()),
        history=[PromiseDay(**asdict(day)) for day in days],
    )


def cached(shown: T, response: Response, seen: str | None) -> T | Response:
    """The answer for everybody, or `304` to who has it."""
    told = {"ETag": content_tag(shown), "Cache-Control": CACHED}
    if told["ETag"] in [tag.strip().removeprefix("W/") for tag in (seen or "").split(",")]:
        return Response(status_code=304, headers=told)
    response.headers.update(told)
    return shown
