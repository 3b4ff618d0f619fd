"""People and sessions, as the API shows and takes them."""

import re
from datetime import date
from typing import Annotated, ClassVar, Literal
from unicodedata import category

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, SecretStr, StrictBool, model_validator

from app.models.base import ApiModel, Doc, Instant, Page, left_out
from app.models.policies import Policies
from app.models.policy_versions import PolicyChange

PASSWORD_LENGTH = (15, 128)
_CONTROLS = frozenset(("Cc", "Cf", "Zl", "Zp"))
"""Characters that are not seen, or that turn the line around (Unicode's general categories)."""
_JOINERS = "\u200c\u200d"
"""Needed inside names in some scripts, and in emoji."""


def _no_markup(name: str) -> str:
    if not name.strip().strip(_JOINERS) or any(category(one) in _CONTROLS and one not in _JOINERS for one in name):
        raise ValueError("must be visible text on one line")
    return name.strip()


def _long_enough(value: SecretStr) -> SecretStr:
    shortest, longest = PASSWORD_LENGTH
    if not shortest <= len(value.get_secret_value()) <= longest:
        raise ValueError(f"must be {shortest} to {longest} characters long")
    return value


def _written_date(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"(19|20)\d\d-\d\d-\d\d", value):
        raise ValueError("must be a date since 1900, like 1990-04-01")
    return value


Name = Annotated[str, Field(min_length=1, max_length=120, examples=["Nightjar Records"]), AfterValidator(_no_markup)]
Email = Annotated[EmailStr, Field(max_length=254, examples=["mara@example.com"])]
NewPassword = Annotated[
    SecretStr,
    AfterValidator(_long_enough),
    Field(
        examples=["a long sentence only I know"],
        json_schema_extra={"minLength": PASSWORD_LENGTH[0], "maxLength": PASSWORD_LENGTH[1]},
    ),
]
Password = Annotated[SecretStr, Field(max_length=128)]
Totp = Annotated[SecretStr, Field(min_length=6, max_length=40, examples=["123456"])]
"""A code of the authenticator app, or a recovery code."""
MailToken = Annotated[SecretStr, Field(min_length=1, max_length=100)]
"""The token of a link in a mail."""
BirthDate = Annotated[date, BeforeValidator(_written_date), Field(examples=["1990-04-01"])]
PolicyVersion = Annotated[str, Field(min_length=1, max_length=40, examples=["2026-03-13"])]


class UserCreate(ApiModel):
    """A new account."""

    name: Name
    email: Email
    password: NewPassword
    """15 to 128 characters, taken exactly as typed; the most common ones are refused."""
    date_of_birth: BirthDate
    """Only compared with the age limit of 16; never stored."""
    policy_version: PolicyVersion
    """The version of the privacy policy that was shown, as in `GET /v1/privacy/policies`. Whoever was shown an older
    one, or none that is listed there, is asked for the current one: `policy_change`."""
    marketing_opt_in: StrictBool = False
    """Whether they ask for marketing mail. Nothing is sent before the address is confirmed."""


class UserChange(ApiModel):
    """What to change; what is left out stays."""

    elsewhere: ClassVar[dict[str, str]] = {"marketing_opt_in": "PUT /v1/me/consents changes it"}

    name: Name = Field(default_factory=left_out)


class UserOut(ApiModel):
    """A person's own account."""

    id: Annotated[str, Field(examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    email: str
    email_verified_at: Instant | None
    """When the address was confirmed; null until then."""
    policy_version: str
    """The version of the privacy policy that the person accepted last; `0` where it is none that was ever posted."""
    policy_change: PolicyChange | None
    """What the person has not accepted yet: a change that everybody is told of; null where there is none."""
    marketing_opt_in: bool
    """Whether the person consents to marketing mail; `PUT /v1/me/consents` changes it."""
    created_at: Instant

    @classmethod
    def of(cls, user: Doc, *, marketing_opt_in: bool, policies: Policies) -> "UserOut":
        """The account of this document."""
        return cls(
            id=user["_id"],
            name=user["name"],
            email=user["email"],
            email_verified_at=user["email_verified_at"],
            policy_version=user["policy_version"],
            policy_change=PolicyChange.for_user(user, policies),
            marketing_opt_in=marketing_opt_in,
            created_at=user["created_at"],
        )


class EmailVerification(ApiModel):
    """Either the token of the mail, or the address that shall get a mail (again)."""

    token: MailToken | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "EmailVerification":
        if (self.token is None) == (self.email is None):
            raise ValueError("must hold either token or email")
        return self


class MailAsked(ApiModel):
    """A mail is on its way, if there is somebody to get it."""

    status: Literal["accepted"] = "accepted"


class EmailVerified(ApiModel):
    """What came of it."""

    status: Literal["verified", "accepted"]
    """`accepted`: a mail is on its way, if the address has an account that is not confirmed yet."""


class PasswordResetCreate(ApiModel):
    """Whose password was forgotten."""

    email: Email


class PasswordResetConfirm(ApiModel):
    """A new password, by the token of the mail."""

    token: MailToken
    password: NewPassword


class PasswordChange(ApiModel):
    """A new password, by the present one."""

    current_password: Password
    password: NewPassword


class EmailChange(ApiModel):
    """A new address."""

    email: Email


class EmailChangeConfirm(ApiModel):
    """The token of the mail."""

    token: MailToken


class TotpStarted(ApiModel):
    """A new second factor. It is shown once, and counts when a code of it has been confirmed."""

    totp_seed: Annotated[str, Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])]
    """Base32, for who cannot read a QR code."""
    provisioning_uri: str
    """What an authenticator app reads from a QR code (`otpauth://…`)."""


class TotpConfirm(ApiModel):
    """A code of the authenticator app."""

    code: Annotated[SecretStr, Field(min_length=6, max_length=12, examples=["123456"])]


class RecoveryCodes(ApiModel):
    """Each lets its owner in once when the authenticator app is lost. They are shown once."""

    recovery_codes: list[str]


class TotpState(ApiModel):
    """Whether there is a second factor."""

    enabled: bool
    confirmed_at: Instant | None
    recovery_codes_left: int


class SessionCreate(ApiModel):
    """A log-in."""

    email: Email
    password: Password
    totp: Totp | None = None
    """Needed when the account has a second factor."""


class Reauthentication(ApiModel):
    """Who is logged in shows once more that it is them."""

    password: Password
    totp: Totp | None = None
    """Needed when the account has a second factor."""


class SessionOut(ApiModel):
    """An access token. The refresh token is in an HttpOnly cookie."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds."""


class SessionShown(ApiModel):
    """Where somebody is logged in."""

    id: Annotated[str, Field(examples=["ses_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    current: bool
    """Whether it is the one that asks."""
    user_agent: str | None
    """What the browser said of itself."""
    network: str | None
    """The network that it was used from last, never the whole address."""
    created_at: Instant
    last_used_at: Instant
    """When it was refreshed last."""
    expires_at: Instant

    @classmethod
    def of(cls, session: Doc, *, current: str) -> "SessionShown":
        """The session of this document."""
        return cls(
            id=session["_id"],
            current=session["_id"] == current,
            user_agent=session["user_agent"],
            network=session["network"],
            created_at=session["created_at"],
            last_used_at=session["last_used_at"],
            expires_at=session["expires_at"],
        )


class SessionPage(Page[SessionShown]):
    """Where the caller is logged in."""
