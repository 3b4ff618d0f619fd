"""The privacy policy's versions, and what people accept of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import HTMLResponse

from app import policy_page
from app.access import ANYBODY, PartsDep, PersonDep
from app.deps import content_tag
from app.errors import FieldError, InvalidInput, NotFound
from app.models.base import ApiModel
from app.models.policies import current_of, version_of
from app.models.policy_versions import PoliciesOut, PolicyAcceptance, PolicyAccepted, PolicyOut, PolicyText
from app.problems import problems
from app.services.policies import accepting

router = APIRouter(tags=["privacy"])
IfNoneMatch = Annotated[str | None, Header(description="The `ETag` that you saw: `304` if it is the same")]
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is as you have seen it"}}


def _public(found: ApiModel, seen: str | None, response: Response) -> Response | None:
    """Have the answer kept for a while; `304` for who has seen it."""
    told = {"ETag": content_tag(found), "Cache-Control": "public, max-age=300"}
    if told["ETag"] in [tag.strip().removeprefix("W/") for tag in (seen or "").split(",")]:
        return Response(status_code=304, headers=told)
    response.headers.update(told)
    return None


@router.get(
    "/v1/privacy/policies",
    operation_id="listPolicies",
    openapi_extra=ANYBODY,
    response_model=PoliciesOut,
    responses=UNCHANGED,
)
async def list_policies(
    parts: PartsDep, response: Response, if_none_match: IfNoneMatch = None
) -> PoliciesOut | Response:
    """Every version of the privacy policy, the current one first, with the hash of its text."""
    found = PoliciesOut(data=[PolicyOut.of(policy, parts.policies) for policy in reversed(parts.policies)])
    return _public(found, if_none_match, response) or found


@router.get(
    "/v1/privacy/policies/{version}",
    operation_id="getPolicy",
    openapi_extra=ANYBODY,
    response_model=PolicyText,
    responses=UNCHANGED | problems(NotFound),
)
async def get_policy(
    parts: PartsDep,
    response: Response,
    version: Annotated[str, Path(max_length=40, examples=["2026-03-13"])],
    if_none_match: IfNoneMatch = None,
) -> PolicyText | Response:
    """One version with its text, as it was published. It never changes."""
    policy = version_of(parts.policies, version)
    if policy is None:
        raise NotFound
    found = PolicyText.whole(policy, parts.policies)
    return _public(found, if_none_match, response) or found


@router.get("/privacy/policy", operation_id="getPolicyPage", openapi_extra=ANYBODY, response_class=HTMLResponse)
async def get_policy_page(parts: PartsDep) -> HTMLResponse:
    """The privacy policy as it is now, as a page for people."""
    return HTMLResponse(policy_page.page_of(current_of(parts.policies)), headers=policy_page.HEADERS)


@router.post(
    "/v1/me/policy-acceptances", operation_id="acceptPolicy", status_code=201, responses=problems(InvalidInput)
)
async def accept_policy(parts: PartsDep, person: PersonDep, body: PolicyAcceptance) -> PolicyAccepted:
    """Accept the current version of the privacy policy. Done again, it is answered alike."""
    policy = current_of(parts.policies)
    if body.version != policy.version:
        detail = f"is not the current privacy policy, which is {policy.version}"
        raise InvalidInput(errors=(FieldError("/version", detail),))
    accepted = await accepting.accept(parts.db, parts.audit, person.user_id, policy, by=person.by, now=parts.clock())
    return PolicyAccepted(version=accepted["version"], sha256=accepted["sha256"], at=accepted["at"])
