"""API clients: who they are, what they may do, and the owner's decision on data from Meta."""

from datetime import datetime

from app.db import Database
from app.models.access import Permission
from app.services.tokens import ClientClaims


async def check_access(
    db: Database, claims: ClientClaims, label_id: str, permission: Permission, *, now: datetime
) -> None:
    """Let a partner's token through that is still good for this. Raises `Unauthenticated`, `NotFound`, `Forbidden`."""
    raise NotImplementedError
