"""Saved replies, as the API shows and takes them: a text with variables, and what comes of it for a conversation."""

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out

Variable = Literal["fan.name", "fan.username", "account.name", "agent.name"]
VARIABLES: frozenset[str] = frozenset(get_args(Variable))
PLACE = re.compile(r"\{\{\s*(?P<name>[^|{}]*?)\s*(?:\|(?P<fallback>[^{}]*))?\}\}")


def _known(text: str) -> str:
    """Raises `ValueError` for a variable that nobody could fill, or braces that are none."""
    if not text.strip():
        raise ValueError("must not be empty")
    unknown = sorted({place["name"] for place in PLACE.finditer(text)} - VARIABLES)
    if unknown:
        raise ValueError(f"has unknown variables; there are {', '.join(sorted(VARIABLES))}")
    left = PLACE.sub("", text)
    if "{{" in left or "}}" in left:
        raise ValueError("has braces that do not enclose a variable: write {{fan.name}} or {{fan.name|there}}")
    return text


def _single_line(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ValueError("must not be empty")
    return name


ReplyName = Annotated[str, AfterValidator(_single_line), Field(min_length=1, max_length=80, examples=["Shipping"])]
ReplyText = Annotated[
    str,
    AfterValidator(_known),
    Field(min_length=1, max_length=4000, examples=["Hi {{fan.name|there}}, it ships on Friday. {{agent.name}}"]),
]


class SavedReplyCreate(ApiModel):
    """An answer to keep."""

    name: ReplyName
    """What the team finds it by; each is there once in a label."""
    text: ReplyText
    """With `{{fan.name}}`, `{{fan.username}}`, `{{account.name}}`, `{{agent.name}}`.

    `{{fan.name|there}}` says what stands there when it is not known.
    """


class SavedReplyChange(ApiModel):
    """What to change; what is left out stays."""

    name: ReplyName = Field(default_factory=left_out)
    text: ReplyText = Field(default_factory=left_out)


class SavedReplyOut(ApiModel):
    """An answer that the team keeps."""

    id: Annotated[str, Field(examples=["srp_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    name: str
    text: str
    variables: list[Variable]
    """Those that the text has."""
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, reply: Doc) -> "SavedReplyOut":
        """The saved reply of this document."""
        return cls(
            id=reply["_id"],
            name=reply["name"],
            text=reply["text"],
            variables=sorted({place["name"] for place in PLACE.finditer(reply["text"])}),
            created_at=reply["created_at"],
            updated_at=reply["updated_at"],
        )


class SavedReplyPage(Page[SavedReplyOut]):
    """A label's saved replies, oldest first."""


class RenderOrder(ApiModel):
    """For whom to fill the variables in."""

    conversation_id: Annotated[str, Field(min_length=1, max_length=64)]


class RenderedReply(ApiModel):
    """The text for this conversation, as it may be sent."""

    text: str
    size_bytes: int
    """Of the text in UTF-8."""
    limit_bytes: int
    fits: bool
    """Whether the provider takes a text of this size."""
    missing: list[Variable]
    """Variables without a value and without a fallback: nothing stands in their place."""
