"""Notes of the team about a conversation, as the API shows and takes them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant, Page, left_out


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


NoteText = Annotated[str, AfterValidator(_not_blank), Field(min_length=1, max_length=4000)]


class NoteCreate(ApiModel):
    """A note for the team. The fan never sees it."""

    text: NoteText


class NoteChange(ApiModel):
    """What to change."""

    text: NoteText = Field(default_factory=left_out)


class NoteAuthor(ApiModel):
    """Who wrote it: a person, or an API client."""

    kind: Literal["person", "client", "rule", "support", "system"]
    id: str


class NoteOut(ApiModel):
    """A note of the team's."""

    id: Annotated[str, Field(examples=["nte_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    conversation_id: str
    text: str
    author: NoteAuthor
    created_at: Instant
    updated_at: Instant
    expires_at: Instant
    """When it is deleted: as the conversation would have been when the note was written. Nothing lengthens it."""

    @classmethod
    def of(cls, note: Doc) -> "NoteOut":
        """The note of this document."""
        return cls(
            id=note["_id"],
            conversation_id=note["conversation_id"],
            text=note["text"],
            author=NoteAuthor(**note["author"]),
            created_at=note["created_at"],
            updated_at=note["updated_at"],
            expires_at=note["expires_at"],
        )


class NotePage(Page[NoteOut]):
    """A conversation's notes, newest first."""
