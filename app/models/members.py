"""Members and invitations, as the API shows and takes them."""

from typing import Annotated

from pydantic import Field, StrictBool

from app.models.access import Role
from app.models.base import ApiModel, Doc, Instant, Page
from app.models.people import BirthDate, Email, MailToken, Name, NewPassword, PolicyVersion


class MemberChange(ApiModel):
    """Another role."""

    role: Role


class MemberOut(ApiModel):
    """Somebody who works for a label."""

    id: Annotated[str, Field(examples=["mbr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    user_id: str
    name: str
    email: str
    role: Role
    leaving: bool
    """Whether their account is going to be erased: they are logged in nowhere, and count as an owner no more."""
    created_at: Instant

    @classmethod
    def of(cls, membership: Doc, user: Doc) -> "MemberOut":
        """The member of these documents."""
        return cls(
            id=membership["_id"],
            user_id=membership["user_id"],
            name=user["name"],
            email=user["email"],
            role=membership["role"],
            leaving=membership.get("leaving", False),
            created_at=membership["created_at"],
        )


class MemberPage(Page[MemberOut]):
    """Who works for a label."""


class OwnershipTransfer(ApiModel):
    """Who shall own the label."""

    member_id: Annotated[str, Field(max_length=64, examples=["mbr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


class InvitationCreate(ApiModel):
    """Who shall be asked to work for the label."""

    email: Email
    role: Role


class InvitationOut(ApiModel):
    """Somebody who was asked, and has not answered yet."""

    id: Annotated[str, Field(examples=["inv_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    email: str
    role: Role
    invited_by: str
    """The id of the person or the API client who asked."""
    created_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, invitation: Doc) -> "InvitationOut":
        """The invitation of this document."""
        return cls(
            id=invitation["_id"],
            email=invitation["email"],
            role=invitation["role"],
            invited_by=invitation["invited_by"],
            created_at=invitation["created_at"],
            expires_at=invitation["expires_at"],
        )


class InvitationPage(Page[InvitationOut]):
    """Who was asked."""


class NewAccount(ApiModel):
    """The account of who has none yet. Its address is the invitation's."""

    name: Name
    password: NewPassword
    date_of_birth: BirthDate
    """Only compared with the age limit of 16; never stored."""
    policy_version: PolicyVersion
    marketing_opt_in: StrictBool = False


class InvitationLookUp(ApiModel):
    """The token of the mail."""

    token: MailToken


class InvitationSeen(ApiModel):
    """What somebody is asked, as they see it before they accept."""

    label_name: str
    role: Role
    email: str
    """The invited address: only its owner can accept."""
    has_account: bool
    """Whether to log in, or to give a new `account` on accepting."""
    expires_at: Instant


class InvitationAccept(ApiModel):
    """The token of the mail; and, without a session, the account to make."""

    token: MailToken
    account: NewAccount | None = None


class InvitationAccepted(ApiModel):
    """What the caller works for now."""

    label_id: str
    user_id: str
    role: Role
