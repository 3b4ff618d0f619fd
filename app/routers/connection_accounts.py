"""Choosing among the accounts that a log-in leads to."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.deps import PagingDep, WaitDep, answer_operation
from app.errors import Conflict, Forbidden, InvalidCursor, InvalidInput, NotFound, Unauthenticated
from app.models.connection_accounts import AccountsChosen, ChoiceOut, ChoicePage
from app.models.operations import OperationOut
from app.problems import problems
from app.services.connections import choices, store
from app.services.connections.choices import Wanted

router = APIRouter(tags=["connections"])
PATH = "/v1/labels/{label_id}/connections/{connection_id}/accounts"
Writer = Annotated[Access, Security(label_access, scopes=["connections:write"])]


@router.get(
    PATH,
    operation_id="listConnectionAccounts",
    responses=problems(InvalidInput, InvalidCursor, Forbidden, NotFound, Unauthenticated),
)
async def list_connection_accounts(
    parts: PartsDep, access: Writer, connection_id: str, paging: PagingDep
) -> ChoicePage:
    """What can be connected with a log-in whose `step` is `choose_accounts`: Pages, and Instagram accounts behind them.

    It is as the log-in found it; nothing is listed before that, or once it has been chosen.
    """
    connection = await store.need(parts.db, access.label_id, connection_id)
    place = f"connection_accounts:{connection_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = choices.page_of(connection, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["provider_id"], limit=paging.limit)
    known = await choices.connected_already(parts.db, connection, page)
    shown = [ChoiceOut.of(row, connection, connected_as=known.get(row["provider_id"])) for row in page]
    return ChoicePage(data=shown, next_cursor=following)


@router.post(
    PATH,
    operation_id="chooseConnectionAccounts",
    status_code=202,
    responses=problems(Conflict, InvalidInput, Forbidden, NotFound, Unauthenticated)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def choose_connection_accounts(
    parts: PartsDep,
    access: Writer,
    connection_id: str,
    body: AccountsChosen,
    wait_s: WaitDep,
    response: Response,
) -> OperationOut:
    """Connect these accounts: each is tried out for each feature, and what does not work is left out with the reason.

    The first takes this connection, the others get connections of their own; the operation's `result` says what came of
    each. When none could be connected, you may choose anew.
    """
    wanted = [Wanted(account.provider_id, account.features) for account in body.accounts]
    operation = await choices.choose(
        parts.db, parts.audit, access.label_id, connection_id, wanted, by=access.by, now=parts.clock()
    )
    return await answer_operation(parts, operation, wait_s, response)
