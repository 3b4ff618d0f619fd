"""The end of a connection, and its receipt."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security

from app.access import Access, PartsDep, label_access
from app.deps import VersionsDep, WaitDep, answer_operation
from app.errors import Forbidden, InvalidInput, NotFinished, NotFound, StaleVersion, Unauthenticated
from app.models.operations import OperationOut
from app.models.receipts import ReceiptOut
from app.problems import problems
from app.services.connections import leaving, receipts

router = APIRouter(tags=["connections"])
PATH = "/v1/labels/{label_id}/connections/{connection_id}"
Reader = Annotated[Access, Security(label_access, scopes=["connections:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["connections:write"])]


@router.delete(
    PATH,
    operation_id="deleteConnection",
    status_code=202,
    responses=problems(Forbidden, NotFound, StaleVersion, Unauthenticated)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def delete_connection(
    parts: PartsDep, access: Writer, connection_id: str, versions: VersionsDep, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Disconnect an account. Needs a fresh log-in.

    From this moment nothing is done with it, and it can be connected anew. The operation has its webhooks switched off,
    its permission taken back at the provider, its token destroyed, and everything erased that came from it; that ends
    in a receipt. Asked again, it is the same operation.
    """
    operation = await leaving.disconnect(
        parts.db, parts.audit, access.label_id, connection_id, versions=versions, by=access.by, now=parts.clock()
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.get(
    f"{PATH}/receipt",
    operation_id="getConnectionReceipt",
    responses=problems(InvalidInput, NotFinished, NotFound, Unauthenticated),
)
async def get_connection_receipt(
    parts: PartsDep,
    access: Reader,
    connection_id: str,
    response: Response,
    download: Annotated[bool, Query(description="As a file to keep")] = False,
) -> ReceiptOut:
    """The receipt of a disconnect: each step, its result and its time, signed with the service's key.

    409 `not_finished` while it is under way. It can be had for 12 months.
    """
    body = receipts.body_of(await leaving.need_record(parts.db, access.label_id, connection_id, now=parts.clock()))
    if download:
        response.headers["Content-Disposition"] = f'attachment; filename="receipt-{connection_id}.json"'
    return ReceiptOut(**body.model_dump(), jws=parts.signer.sign_receipt(body.model_dump(mode="json")))
