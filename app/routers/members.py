"""Members of a label, and invitations to become one."""

from typing import Annotated, cast

from fastapi import APIRouter, Request, Response, Security

from app import cursors
from app.access import SIGNED, Access, BearerDep, PartsDep, get_claims, get_person, label_access, state_of
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.db import Doc
from app.deps import PagingDep, VersionsDep, content_tag, version_tag
from app.errors import (
    AccountExists,
    AgeRequirementNotMet,
    AlreadyMember,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    InvalidToken,
    LastOwner,
    NotFound,
    ReauthenticationRequired,
    StaleVersion,
    Unauthenticated,
    Unavailable,
    WrongRecipient,
)
from app.models.access import Role
from app.models.members import (
    InvitationAccept,
    InvitationAccepted,
    InvitationCreate,
    InvitationLookUp,
    InvitationOut,
    InvitationPage,
    InvitationSeen,
    MemberChange,
    MemberOut,
    MemberPage,
    NewAccount,
)
from app.parts import Parts
from app.problems import problems
from app.routers.people import AgeCookie, check_old_enough, limit_mail, prepared, somebody
from app.services.labels import invitations, members
from app.services.labels.labels import need_label
from app.services.people import accounts
from app.services.people.accounts import Applicant, Newcomer
from app.signals import GpcDep

router = APIRouter(prefix="/v1", tags=["members"])
PATH = "/labels/{label_id}"
Reader = Annotated[Access, Security(label_access, scopes=["members:read"])]
Inviter = Annotated[Access, Security(label_access, scopes=["members:invite"])]
Writer = Annotated[Access, Security(label_access, scopes=["members:write"])]
Member = Annotated[Access, Security(label_access, scopes=["label:leave"])]


@router.get(PATH + "/members", operation_id="listMembers", responses=problems(InvalidInput, InvalidCursor))
async def list_members(parts: PartsDep, access: Reader, paging: PagingDep) -> MemberPage:
    """Who works for the label, the oldest member first."""
    place = f"members:{access.label_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await members.page_of(parts.db, access.label_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    users = await members.users_of(parts.db, page)
    shown = [MemberOut.of(member, users[member["user_id"]]) for member in page if member["user_id"] in users]
    return MemberPage(data=shown, next_cursor=following)


@router.get(PATH + "/members/{member_id}", operation_id="getMember", responses=problems(NotFound))
async def get_member(parts: PartsDep, access: Reader, member_id: str, response: Response) -> MemberOut:
    """One member."""
    return await _shown(parts, await members.need(parts.db, access.label_id, member_id), response)


@router.patch(
    PATH + "/members/{member_id}",
    operation_id="changeMember",
    responses=problems(InvalidInput, Forbidden, LastOwner, NotFound, StaleVersion),
)
async def change_member(
    parts: PartsDep, access: Writer, member_id: str, body: MemberChange, versions: VersionsDep, response: Response
) -> MemberOut:
    """Give a member another role. It holds from their next request on. Only owners make owners, and unmake them."""
    changed = await members.change_role(
        parts.db,
        parts.audit,
        access.label_id,
        member_id,
        role=body.role,
        own_role=_role(access),
        versions=versions,
        by=access.by,
        now=parts.clock(),
    )
    await parts.note_outside("member_changed", member_id, body.role)
    return await _shown(parts, changed, response)


@router.delete(
    PATH + "/members/{member_id}",
    operation_id="removeMember",
    status_code=204,
    responses=problems(Forbidden, LastOwner, NotFound),
)
async def remove_member(parts: PartsDep, access: Writer, member_id: str) -> None:
    """Take a member out, from their next request on, with the invitations that they have sent."""
    await members.remove(
        parts.db,
        parts.audit,
        access.label_id,
        member_id,
        own_role=_role(access),
        by=access.by,
        now=parts.clock(),
    )
    await parts.note_outside("member_changed", member_id)


@router.post(PATH + "/leave", operation_id="leaveLabel", status_code=204, responses=problems(LastOwner, NotFound))
async def leave_label(parts: PartsDep, access: Member) -> None:
    """Work for the label no more. The last owner cannot leave."""
    own = await members.membership_of(parts.db, access.user_id, access.label_id)
    if own is None:
        raise NotFound
    await members.remove(
        parts.db,
        parts.audit,
        access.label_id,
        own["_id"],
        own_role=_role(access),
        by=access.by,
        now=parts.clock(),
    )
    await parts.note_outside("member_changed", own["_id"])


@router.post(
    PATH + "/invitations",
    operation_id="createInvitation",
    status_code=201,
    responses=problems(
        *(InvalidInput, AlreadyMember, Forbidden, ReauthenticationRequired, NotFound, Unavailable),
        *(BillingReadOnly, PlanLimitReached),
    ),
)
async def create_invitation(
    parts: PartsDep, access: Inviter, request: Request, body: InvitationCreate, response: Response
) -> InvitationOut:
    """Ask somebody by mail to work for the label. An earlier invitation to the same address is void.

    It holds for 7 days, once, for this address alone, and as long as who asked may still ask. Whether the address has
    an account is not told. To ask an owner or an admin needs a fresh log-in.
    """
    if body.role in ("owner", "admin"):
        access.check_fresh(parts.clock())
    standings = state_of(request)["standings"]
    await limit_mail(request, parts, "invitation", body.email)
    await parts.limiter.hit("mail_account", access.by.id, standings)
    await parts.limiter.hit("invite_label", access.label_id, standings)
    await parts.limiter.hit("mail_label", access.label_id, standings)
    label = await need_label(parts.db, access.label_id)
    invitation = await invitations.invite(
        parts.db,
        parts.audit,
        parts.meter,
        label,
        email=body.email,
        role=body.role,
        own_role=access.role,
        by=access.by,
        now=parts.clock(),
    )
    shown = InvitationOut.of(invitation)
    response.headers["Location"] = f"/v1/labels/{access.label_id}/invitations/{invitation['_id']}"
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.get(PATH + "/invitations", operation_id="listInvitations", responses=problems(InvalidInput, InvalidCursor))
async def list_invitations(parts: PartsDep, access: Reader, paging: PagingDep) -> InvitationPage:
    """Who was asked and has not answered yet, the oldest invitation first."""
    place = f"invitations:{access.label_id}"
    found = await invitations.page_of(
        parts.db,
        access.label_id,
        after=cursors.decode_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return InvitationPage(data=[InvitationOut.of(one) for one in page], next_cursor=following)


@router.get(PATH + "/invitations/{invitation_id}", operation_id="getInvitation", responses=problems(NotFound))
async def get_invitation(parts: PartsDep, access: Reader, invitation_id: str, response: Response) -> InvitationOut:
    """One invitation."""
    shown = InvitationOut.of(await invitations.need(parts.db, access.label_id, invitation_id, now=parts.clock()))
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.delete(
    PATH + "/invitations/{invitation_id}",
    operation_id="withdrawInvitation",
    status_code=204,
    responses=problems(NotFound),
)
async def withdraw_invitation(parts: PartsDep, access: Inviter, invitation_id: str) -> None:
    """Make an invitation void."""
    now = parts.clock()
    invitation = await invitations.need(parts.db, access.label_id, invitation_id, now=now)
    await invitations.withdraw(parts.db, parts.audit, invitation, own_role=access.role, by=access.by, now=now)


@router.post(
    "/invitations/look-up",
    operation_id="lookUpInvitation",
    openapi_extra=SIGNED,
    responses=problems(InvalidInput, InvalidToken),
)
async def look_up_invitation(parts: PartsDep, body: InvitationLookUp) -> InvitationSeen:
    """What the mail asks its reader, by its token, which is not used up."""
    _, invitation = await invitations.look_up(parts.db, body.token.get_secret_value(), now=parts.clock())
    label = await need_label(parts.db, invitation["label_id"])
    return InvitationSeen(
        label_name=label["name"],
        role=invitation["role"],
        email=invitation["email"],
        has_account=await accounts.by_email(parts.db, invitation["email"]) is not None,
        expires_at=invitation["expires_at"],
    )


@router.post(
    "/invitations/accept",
    operation_id="acceptInvitation",
    openapi_extra=SIGNED,
    responses=problems(
        InvalidInput,
        InvalidToken,
        Unauthenticated,
        AgeRequirementNotMet,
        WrongRecipient,
        AlreadyMember,
        AccountExists,
        Unavailable,
        BillingReadOnly,
        PlanLimitReached,
    ),
)
async def accept_invitation(
    parts: PartsDep,
    request: Request,
    credentials: BearerDep,
    gpc: GpcDep,
    body: InvitationAccept,
    refused: AgeCookie = None,
) -> InvitationAccepted:
    """Become a member, by the token of the mail: with a session of the invited address, or with a new `account`.

    Making an account asks the same as registering: people under 16 are refused, and nothing about them is stored.
    """
    now = parts.clock()
    token, invitation = await invitations.look_up(parts.db, body.token.get_secret_value(), now=now)
    newcomer = None
    if body.account is not None:
        check_old_enough(body.account.date_of_birth, refused, now=now)
        newcomer = await _new_account(parts, body.account, invitation["email"], gpc=gpc)
        user, by = newcomer.user, somebody(request)
    else:
        person = await get_person(request, parts, await get_claims(parts, credentials))
        user, by = await accounts.need_user(parts.db, person.user_id), person.by
    membership = await invitations.accept(
        parts.db, parts.audit, parts.meter, token, invitation, user, newcomer=newcomer, by=by, now=now
    )
    return InvitationAccepted(label_id=membership["label_id"], user_id=user["_id"], role=membership["role"])


async def _new_account(parts: Parts, account: NewAccount, email: str, *, gpc: bool) -> Newcomer:
    password = account.password.get_secret_value()
    applicant = Applicant(**account.model_dump(exclude={"password"}), password=password, email=email, gpc=gpc)
    return await prepared(parts, applicant, verified=True, pointer="/account")


def _role(access: Access) -> Role:
    """The caller's role, where only members come."""
    return cast(Role, access.role)


async def _shown(parts: Parts, member: Doc, response: Response) -> MemberOut:
    users = await members.users_of(parts.db, [member])
    if member["user_id"] not in users:
        raise NotFound
    response.headers["ETag"] = version_tag({"version": member.get("version", 1)})
    return MemberOut.of(member, users[member["user_id"]])
