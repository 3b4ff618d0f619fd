"""Notes of the team about a conversation."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Forbidden, InvalidCursor, InvalidInput, NotFound, StaleVersion, Unauthenticated
from app.models.notes import NoteChange, NoteCreate, NoteOut, NotePage
from app.problems import problems
from app.services.inbox import notes

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["inbox"])
Reader = Annotated[Access, Security(label_access, scopes=["inbox:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
_LIST = problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated)
_MADE = problems(InvalidInput, Forbidden, NotFound, Unauthenticated)
_CHANGED = problems(InvalidInput, Forbidden, NotFound, StaleVersion, Unauthenticated)


@router.get("/conversations/{conversation_id}/notes", operation_id="listNotes", responses=_LIST)
async def list_notes(parts: PartsDep, access: Reader, conversation_id: str, paging: PagingDep) -> NotePage:
    """What the team has written to itself about a conversation, newest first."""
    place = f"notes:{access.label_id}:{conversation_id}"
    after = cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor)
    found = await notes.page_of(
        parts.db, access.label_id, conversation_id, after=after, limit=paging.limit, now=parts.clock()
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["created_at", "_id"], limit=paging.limit)
    return NotePage(data=[NoteOut.of(note) for note in page], next_cursor=following)


@router.post("/conversations/{conversation_id}/notes", operation_id="createNote", status_code=201, responses=_MADE)
async def create_note(
    parts: PartsDep, access: Writer, conversation_id: str, body: NoteCreate, response: Response
) -> NoteOut:
    """Write a note for the team. It ends when the conversation would end now; what comes later does not lengthen it."""
    note = await notes.add(parts.db, access.label_id, conversation_id, text=body.text, by=access.by, now=parts.clock())
    response.headers["ETag"] = version_tag(note)
    return NoteOut.of(note)


@router.get("/notes/{note_id}", operation_id="getNote", responses=problems(Forbidden, NotFound, Unauthenticated))
async def get_note(parts: PartsDep, access: Reader, note_id: str, response: Response) -> NoteOut:
    """One note."""
    note = await notes.need(parts.db, access.label_id, note_id, now=parts.clock())
    response.headers["ETag"] = version_tag(note)
    return NoteOut.of(note)


@router.patch("/notes/{note_id}", operation_id="changeNote", responses=_CHANGED)
async def change_note(
    parts: PartsDep, access: Writer, note_id: str, body: NoteChange, versions: VersionsDep, response: Response
) -> NoteOut:
    """Change a note's text. Everybody at the desk may: notes are the team's."""
    changes = body.model_dump(exclude_unset=True)
    note = await notes.change(parts.db, access.label_id, note_id, changes=changes, versions=versions, now=parts.clock())
    response.headers["ETag"] = version_tag(note)
    return NoteOut.of(note)


@router.delete("/notes/{note_id}", operation_id="deleteNote", status_code=204, responses=_CHANGED)
async def delete_note(parts: PartsDep, access: Writer, note_id: str, versions: VersionsDep) -> None:
    """Take a note away for good."""
    await notes.delete(parts.db, access.label_id, note_id, versions=versions, now=parts.clock())
