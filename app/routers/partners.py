"""API clients of partners: who may come in by the API, with which scopes and secrets."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.db import Doc
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Conflict, InvalidCursor, InvalidInput, NotFound, StaleVersion
from app.models.partners import (
    ClientChange,
    ClientCreate,
    ClientMade,
    ClientOut,
    ClientPage,
    ClientShown,
    MetaAccessChange,
    SecretCreate,
    SecretMade,
)
from app.parts import Parts
from app.problems import problems
from app.services.partners import managing
from app.services.partners.clients import granted_scopes
from app.services.partners.managing import Desk, Made

PATH = "/v1/labels/{label_id}/api-clients"
router = APIRouter(prefix=PATH, tags=["partners"])
Reader = Annotated[Access, Security(label_access, scopes=["clients:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["clients:write"])]
Decider = Annotated[Access, Security(label_access, scopes=["clients:decide"])]
ClientId = Annotated[str, Path(max_length=64, examples=["cli_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
_CLIENT_MADE = problems(InvalidInput, BillingReadOnly, PlanLimitReached)
_USUAL = SecretCreate()
"""What a second secret is made from where the request has no body."""
SecretId = Annotated[str, Path(max_length=64, examples=["key_01k9zv3t5w8x2m4c6d7f9g1h3j"])]


@router.post("", operation_id="createApiClient", status_code=201, responses=_CLIENT_MADE)
async def create_api_client(parts: PartsDep, access: Writer, body: ClientCreate, response: Response) -> ClientMade:
    """Make an API client.

    The answer carries its first secret, which is never shown again. The label's owners are told by mail.
    """
    made = await managing.create_client(
        _desk(parts, access), name=body.name, scopes=list(body.scopes), life=timedelta(days=body.expires_in_days)
    )
    await _ring(parts, made)
    response.headers["Location"] = f"{_place(access)}/{made.client['_id']}"
    response.headers["ETag"] = version_tag(made.client)
    return ClientMade.with_secret(made.client, granted_scopes(made.client), made.secret)


@router.get("", operation_id="listApiClients", responses=problems(InvalidInput, InvalidCursor))
async def list_api_clients(parts: PartsDep, access: Reader, paging: PagingDep) -> ClientPage:
    """The label's API clients, the oldest first."""
    place = f"api-clients:{access.label_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await managing.page_of_clients(parts.db, access.label_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return ClientPage(data=[ClientOut.of(client, granted_scopes(client)) for client in page], next_cursor=following)


@router.get("/{client_id}", operation_id="getApiClient", responses=problems(NotFound))
async def get_api_client(parts: PartsDep, access: Reader, client_id: ClientId, response: Response) -> ClientShown:
    """One API client, with the owner's decisions on it. A secret is never shown."""
    return _shown(await managing.need_client(parts.db, access.label_id, client_id), response)


@router.patch(
    "/{client_id}", operation_id="changeApiClient", responses=problems(InvalidInput, NotFound, StaleVersion, Conflict)
)
async def change_api_client(
    parts: PartsDep,
    access: Writer,
    client_id: ClientId,
    body: ClientChange,
    versions: VersionsDep,
    response: Response,
) -> ClientShown:
    """Change an API client; what is left out stays.

    New scopes that reach data from Meta need the owner's decision; so does one that was taken away and is given back.
    """
    changes = body.model_dump(exclude_unset=True)
    client = await managing.change_client(_desk(parts, access), client_id, changes=changes, versions=versions)
    return _shown(client, response)


@router.delete(
    "/{client_id}",
    operation_id="deleteApiClient",
    status_code=204,
    responses=problems(NotFound, StaleVersion, Conflict),
)
async def delete_api_client(parts: PartsDep, access: Writer, client_id: ClientId, versions: VersionsDep) -> None:
    """Delete an API client. Its secrets and tokens are dead at once."""
    await managing.delete_client(_desk(parts, access), client_id, versions=versions)
    await parts.note_outside("client_ended", client_id)


@router.post(
    "/{client_id}/secrets",
    operation_id="createApiClientSecret",
    status_code=201,
    responses=problems(InvalidInput, NotFound, Conflict),
)
async def create_api_client_secret(
    parts: PartsDep, access: Writer, client_id: ClientId, response: Response, body: SecretCreate = _USUAL
) -> SecretMade:
    """Make a second secret, to change over to; it is never shown again. With two live ones, delete one first."""
    made = await managing.add_secret(_desk(parts, access), client_id, life=timedelta(days=body.expires_in_days))
    await _ring(parts, made)
    response.headers["Location"] = f"{_place(access)}/{client_id}"
    return SecretMade.with_secret(made.key, made.secret)


@router.delete(
    "/{client_id}/secrets/{secret_id}",
    operation_id="deleteApiClientSecret",
    status_code=204,
    responses=problems(NotFound),
)
async def delete_api_client_secret(parts: PartsDep, access: Writer, client_id: ClientId, secret_id: SecretId) -> None:
    """Delete a secret. The tokens that were given for it are dead at once."""
    await managing.delete_secret(_desk(parts, access), client_id, secret_id)
    await parts.note_outside("client_secret_ended", secret_id)


@router.put(
    "/{client_id}/meta-access",
    operation_id="setApiClientMetaAccess",
    responses=problems(InvalidInput, NotFound, StaleVersion, Conflict),
)
async def set_api_client_meta_access(
    parts: PartsDep,
    access: Decider,
    client_id: ClientId,
    body: MetaAccessChange,
    versions: VersionsDep,
    response: Response,
) -> ClientShown:
    """Record the owner's decision that the partner needs this data from Meta to operate the service.

    It takes the place of an earlier one.
    """
    client = await managing.decide(
        _desk(parts, access), client_id, scopes=list(body.scopes), reason=body.reason, versions=versions
    )
    return _shown(client, response)


@router.delete(
    "/{client_id}/meta-access",
    operation_id="deleteApiClientMetaAccess",
    status_code=204,
    responses=problems(NotFound, StaleVersion, Conflict),
)
async def delete_api_client_meta_access(
    parts: PartsDep, access: Decider, client_id: ClientId, versions: VersionsDep
) -> None:
    """Withdraw the owner's decision. The partner's next request for data from Meta is refused."""
    await managing.withdraw(_desk(parts, access), client_id, versions=versions)


def _desk(parts: Parts, access: Access) -> Desk:
    return Desk(parts.db, parts.audit, access.by, access.label_id, access.user_id, parts.meter, parts.clock())


def _place(access: Access) -> str:
    return PATH.format(label_id=access.label_id)


def _shown(client: Doc, response: Response) -> ClientShown:
    response.headers["ETag"] = version_tag(client)
    return ClientShown.with_decisions(client, granted_scopes(client))


async def _ring(parts: Parts, made: Made) -> None:
    for operation_id in made.operation_ids:
        await parts.bell.ring(operation_id)
