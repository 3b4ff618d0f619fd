"""Consents: of a person by their account, and of a visitor by the banner."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Request, Response

from app import cursors
from app.access import ANYBODY, PartsDep, PersonDep, state_of
from app.db import Doc
from app.deps import PagingDep, VersionsDep, check_origin, drop_cookie, set_cookie, version_tag
from app.errors import (
    FieldError,
    InvalidCursor,
    InvalidInput,
    NotFound,
    StaleVersion,
    UnsupportedMediaType,
    WrongOrigin,
)
from app.models.consent_texts import ConsentText, Purpose, current, text_of
from app.models.consents import (
    ConsentOut,
    ConsentPage,
    ConsentsChange,
    ConsentsOut,
    ConsentTextOut,
    CookieOut,
    CookiesOut,
    TextsShown,
    VisitorChoice,
    VisitorConsents,
)
from app.models.cookies import CHOICE_COOKIE, COOKIES, VISITOR_COOKIE
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.consents import choosing, ledger, visitors
from app.services.consents.choosing import PURPOSES
from app.services.privacy import standing
from app.signals import GpcDep

router = APIRouter(prefix="/v1", tags=["privacy"])
REMEMBERED_S = int(ledger.VISITORS_CONSENT.total_seconds())
REFUSED = "refused"
VisitorCookie = Annotated[str | None, Cookie(alias=VISITOR_COOKIE, include_in_schema=False)]
ChoiceCookie = Annotated[str | None, Cookie(alias=CHOICE_COOKIE, include_in_schema=False)]


def texts_of(shown: TextsShown, wishes: Mapping[Purpose, bool]) -> dict[Purpose, ConsentText | None]:
    """The words that each decision is about. A no may be about any: it must be as easy as the yes was.

    Raises `InvalidInput` for a yes to words that are not shown any more: nobody consents to what they have not read.
    """
    versions = shown.model_dump(exclude_unset=True)
    texts = {one: text_of(one, versions[one]) if one in versions else current(one) for one in wishes}
    errors = [
        FieldError(f"/text_versions/{purpose}", f"is not what is shown now, which is {current(purpose).version}")
        for purpose, text in texts.items()
        if wishes[purpose] and text != current(purpose)
    ]
    if errors:
        raise InvalidInput(errors=tuple(errors))
    return texts


@router.get("/me/consents", operation_id="getConsents")
async def get_consents(parts: PartsDep, person: PersonDep, gpc: GpcDep, response: Response) -> ConsentsOut:
    """What the caller consents to, and the words of each question."""
    await heed(parts, person.user_id, person.by, gpc=gpc)
    return await _shown(parts, person.user_id, response, gpc=gpc)


@router.put("/me/consents", operation_id="changeConsents", responses=problems(InvalidInput, StaleVersion))
async def change_consents(
    parts: PartsDep,
    person: PersonDep,
    gpc: GpcDep,
    body: ConsentsChange,
    versions: VersionsDep,
    response: Response,
) -> ConsentsOut:
    """Give or withdraw consents, one as easily as the other. What is left out stays.

    A withdrawal counts at once, also for what is queued; what analytics has noted of the person is deleted then. After
    `Sec-GPC: 1` everything is off but what was given with it in view, as by this.
    """
    given = body.model_dump(exclude_unset=True, exclude={"text_versions"})
    wishes = {purpose: bool(given[purpose]) for purpose in PURPOSES if purpose in given}
    texts = texts_of(body.text_versions, wishes)
    await heed(parts, person.user_id, person.by, gpc=gpc)
    told: Doc = {"texts": texts, "how": "settings", "gpc": gpc, "by": person.by, "versions": versions}
    await choosing.decide(parts.db, parts.audit, person.user_id, wishes, **told, now=parts.clock())
    for purpose in (purpose for purpose, wish in wishes.items() if not wish):
        await parts.note_outside("consent_ended", f"{person.user_id}:{purpose}")
    return await _shown(parts, person.user_id, response, gpc=gpc)


@router.get("/me/consents/history", operation_id="listConsents", responses=problems(InvalidInput, InvalidCursor))
async def list_consents(parts: PartsDep, person: PersonDep, paging: PagingDep) -> ConsentPage:
    """All that the caller has decided, the newest first. Nothing in it is ever changed."""
    place = f"consents:{person.user_id}"
    before = None if paging.cursor is None else int(cursors.decode(parts.cursor_key, place, paging.cursor)[0])
    found = await ledger.page_of(parts.db, person.user_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["seq"], limit=paging.limit)
    return ConsentPage(data=[ConsentOut.of(row) for row in page], next_cursor=following)


@router.post(
    "/me/consents/join",
    operation_id="joinVisitorConsent",
    responses=problems(NotFound, UnsupportedMediaType, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def join_visitor_consent(
    parts: PartsDep, person: PersonDep, gpc: GpcDep, response: Response, cookie: VisitorCookie = None
) -> ConsentsOut:
    """Take over into the account what this browser's visitor has consented to. Nothing else ever joins the two.

    The account's row has the words that the visitor was shown, and does not say which visitor it was. The visitor ends:
    their cookie goes, and what was noted of them, which nobody could withdraw any more. `404` without a consent.
    """
    await heed(parts, person.user_id, person.by, gpc=gpc)
    visitor_id = visitors.visitor_of(parts.visitor_key, cookie)
    if visitor_id is None:
        raise NotFound
    await heed(parts, visitor_id, None, gpc=gpc)
    now = parts.clock()
    row = await ledger.may(parts.db, visitor_id, "analytics", now=now)
    if row is None:
        raise NotFound
    text = text_of("analytics", row["text_version"])
    told: Doc = {"texts": {"analytics": text}, "how": "joined", "gpc": gpc, "by": person.by, "now": now}
    await choosing.decide(parts.db, parts.audit, person.user_id, {"analytics": True}, **told)
    await choosing.end_visitor(parts.db, parts.audit, visitor_id, gpc=gpc, now=now)
    await parts.note_outside("consent_ended", f"{visitor_id}:analytics")
    drop_cookie(response, VISITOR_COOKIE)
    return await _shown(parts, person.user_id, response, gpc=gpc)


@router.get("/consents", operation_id="getVisitorConsents", openapi_extra=ANYBODY)
async def get_visitor_consents(
    parts: PartsDep, gpc: GpcDep, response: Response, cookie: VisitorCookie = None, choice: ChoiceCookie = None
) -> VisitorConsents:
    """What this browser's visitor has decided, and whether to show the banner.

    It sets no cookie; a visitor's whose consent has ended, by its time or by the signal, it takes away.
    """
    visitor_id = visitors.visitor_of(parts.visitor_key, cookie)
    if visitor_id:
        await heed(parts, visitor_id, None, gpc=gpc)
    found = await _of_visitor(parts, visitor_id, refused=choice == REFUSED, gpc=gpc)
    if cookie is not None and not found.analytics:
        drop_cookie(response, VISITOR_COOKIE)
    return found


@router.post(
    "/consents",
    operation_id="decideVisitorConsents",
    openapi_extra=ANYBODY,
    responses=problems(InvalidInput, UnsupportedMediaType, WrongOrigin),
    dependencies=[Depends(check_origin)],
)
async def decide_visitor_consents(
    parts: PartsDep,
    request: Request,
    gpc: GpcDep,
    body: VisitorChoice,
    response: Response,
    cookie: VisitorCookie = None,
) -> VisitorConsents:
    """What somebody who is not logged in decides at the banner, or later.

    Only after `analytics: true` there is a cookie with a random id, for six months; a withdrawal takes it away. A
    refusal leaves a cookie that is the same for everybody, so that the banner stays away as long. A no is never too
    much: only what is given is counted.
    """
    wishes: dict[Purpose, bool] = {"analytics": body.analytics}
    texts = texts_of(body.text_versions, wishes)
    visitor_id = visitors.visitor_of(parts.visitor_key, cookie)
    if body.analytics:
        state = state_of(request)
        await parts.limiter.hit("consent_address", state["client"].limit_key, state["standings"])
    if body.analytics and visitor_id is None:
        visitor_id, cookie = visitors.new_visitor(parts.visitor_key)
    if visitor_id is not None:
        told: Doc = {"texts": texts, "how": "banner", "gpc": gpc, "by": None, "now": parts.clock()}
        await choosing.decide(parts.db, parts.audit, visitor_id, wishes, **told)
        if not body.analytics:
            await parts.note_outside("consent_ended", f"{visitor_id}:analytics")
    if body.analytics:
        set_cookie(response, VISITOR_COOKIE, str(cookie), REMEMBERED_S)
        if CHOICE_COOKIE in request.cookies:
            drop_cookie(response, CHOICE_COOKIE)
        return await _of_visitor(parts, visitor_id, refused=False, gpc=gpc)
    if VISITOR_COOKIE in request.cookies:
        drop_cookie(response, VISITOR_COOKIE)
    set_cookie(response, CHOICE_COOKIE, REFUSED, REMEMBERED_S)
    return await _of_visitor(parts, None, refused=True, gpc=gpc)


@router.get("/privacy/cookies", operation_id="listCookies", openapi_extra=ANYBODY)
async def list_cookies() -> CookiesOut:
    """Every cookie that we may set: what for, for how long, and which of them only after a consent."""
    return CookiesOut(data=[CookieOut.of(kind) for kind in COOKIES])


async def heed(parts: Parts, subject: str, by: By | None, *, gpc: bool) -> None:
    """Where the request says `Sec-GPC: 1`, switch off what was given without that."""
    if gpc:
        for purpose in await choosing.heed_signal(parts.db, parts.audit, subject, by=by, now=parts.clock()):
            await parts.note_outside("consent_ended", f"{subject}:{purpose}")


async def _shown(parts: Parts, user_id: str, response: Response, *, gpc: bool) -> ConsentsOut:
    rows = {purpose: await ledger.newest(parts.db, user_id, purpose) for purpose in PURPOSES}
    decided = [row for row in rows.values() if row is not None]
    response.headers["ETag"] = version_tag({"version": max((row["seq"] for row in decided), default=0)})
    now = parts.clock()
    stands = {purpose: ledger.stands(row, now=now) for purpose, row in rows.items()}
    given = [purpose for purpose in PURPOSES if stands[purpose]]
    return ConsentsOut(
        **stands,
        suspended=[one for one in given if not await standing.allows(parts.db, user_id, one)],
        gpc=gpc,
        decisions=[ConsentOut.of(row) for row in decided],
        texts=[ConsentTextOut.of(current(purpose)) for purpose in PURPOSES],
    )


async def _of_visitor(parts: Parts, visitor_id: str | None, *, refused: bool, gpc: bool) -> VisitorConsents:
    now = parts.clock()
    row = await ledger.newest(parts.db, visitor_id, "analytics") if visitor_id else None
    given = ledger.stands(row, now=now)
    no = refused or (row is not None and row["decision"] != "given")
    return VisitorConsents(
        analytics=given,
        ask=not (given or no),
        asks_again_at=row["ends_at"] if row and given else None,
        gpc=gpc,
        texts=[ConsentTextOut.of(current("analytics"))],
    )
