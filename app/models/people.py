"""People and sessions, as the API shows and takes them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, EmailStr, Field, SecretStr, field_validator

from app.models.base import ApiModel, Doc, Instant

PASSWORD_LENGTH = (15, 128)


def _no_markup(name: str) -> str:
    if not name.strip() or any(ord(letter) < 32 for letter in name):
        raise ValueError("must be visible text on one line")
    return name.strip()


Name = Annotated[str, Field(min_length=1, max_length=120, examples=["Nightjar Records"]), AfterValidator(_no_markup)]


class UserCreate(ApiModel):
    """A new account."""

    name: Name
    email: Annotated[EmailStr, Field(max_length=254, examples=["mara@example.com"])]
    password: Annotated[SecretStr, Field(examples=["a long sentence only I know"])]
    """15 to 128 characters, taken exactly as typed."""
    date_of_birth: Annotated[date, Field(examples=["1990-04-01"])]
    """Only compared with the age limit of 16; never stored."""
    policy_version: Annotated[str, Field(min_length=1, max_length=40, examples=["2026-03-13"])]
    """The version of the privacy policy that was shown."""
    marketing_opt_in: bool = False

    @field_validator("password")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        shortest, longest = PASSWORD_LENGTH
        if not shortest <= len(value.get_secret_value()) <= longest:
            raise ValueError(f"must be {shortest} to {longest} characters long")
        return value


class UserOut(ApiModel):
    """A person's own account."""

    id: Annotated[str, Field(examples=["usr_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    email: str
    policy_version: str
    marketing_opt_in: bool
    created_at: Instant

    @classmethod
    def of(cls, user: Doc) -> "UserOut":
        """The account of this document."""
        return cls(
            id=user["_id"],
            name=user["name"],
            email=user["email"],
            policy_version=user["policy_version"],
            marketing_opt_in=user["marketing_opt_in"],
            created_at=user["created_at"],
        )


class SessionCreate(ApiModel):
    """A log-in."""

    email: Annotated[EmailStr, Field(max_length=254, examples=["mara@example.com"])]
    password: Annotated[SecretStr, Field(max_length=128)]


class SessionOut(ApiModel):
    """An access token. The refresh token is in an HttpOnly cookie."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    """Seconds."""
