"""Usage: which pages and features people use, told by the app, and noted only of who consents."""

from fastapi import APIRouter, Request

from app.access import ANYBODY, BearerDep, PartsDep, get_claims, get_person, state_of
from app.errors import InvalidInput, Unauthenticated
from app.models.usage import UsageReport
from app.problems import problems
from app.routers.consents import VisitorCookie, heed
from app.services.consents import visitors
from app.services.usage import noting
from app.signals import GpcDep

router = APIRouter(prefix="/v1", tags=["privacy"])


@router.post(
    "/usage",
    operation_id="reportUsage",
    openapi_extra=ANYBODY,
    status_code=204,
    responses=problems(InvalidInput, Unauthenticated),
)
async def report_usage(
    parts: PartsDep,
    request: Request,
    credentials: BearerDep,
    gpc: GpcDep,
    body: UsageReport,
    cookie: VisitorCookie = None,
) -> None:
    """Tell which pages were seen and which features were used, up to 50 at a time.

    With a session it is about the account, else about the visitor of the cookie. Without the consent of that one
    nothing is stored and nothing is passed on, and the answer is the same. The network address is never kept.
    """
    state = state_of(request)
    await parts.limiter.hit("usage_address", state["client"].limit_key, state["standings"])
    person = None
    if credentials is not None:
        person = await get_person(request, parts, await get_claims(parts, credentials))
    subject = person.user_id if person else visitors.visitor_of(parts.visitor_key, cookie)
    state["unkept"] = True
    if subject is None:
        return
    await heed(parts, subject, person.by if person else None, gpc=gpc)
    noted = await noting.note(
        parts.db,
        subject,
        body.events,
        agent=request.headers.get("user-agent", ""),
        forwards=parts.settings.forwards_usage,
        now=parts.clock(),
    )
    state["unkept"] = noted is None
    if noted and noted.operation_id:
        await parts.bell.ring(noted.operation_id)
