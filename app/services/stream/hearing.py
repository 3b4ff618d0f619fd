"""Who may hear what of a label's stream. Asked when a stream begins, and again and again while it lives."""

from datetime import datetime

from app.db import Database
from app.errors import Forbidden, LabelDeleting, NotFound, Unauthenticated
from app.models.access import PERMISSIONS, Permission
from app.services.labels import members
from app.services.partners import clients
from app.services.people import sessions
from app.services.stream.items import READ_WITH
from app.services.tokens import ENDED, Claims, ClientClaims

WANTED: Permission = "stream:read"


async def permissions_of(
    db: Database, claims: Claims | ClientClaims, label_id: str, *, now: datetime
) -> frozenset[Permission]:
    """What the caller may read of what the stream tells of.

    Raises `Unauthenticated` when the token or the session has ended, `NotFound`, `Forbidden`, `LabelDeleting`,
    `OwnerDecisionRequired` when they may not listen at all.
    """
    if claims.expires_at is None or claims.expires_at <= now:
        raise Unauthenticated(ENDED)
    heard = frozenset(READ_WITH.values())
    if isinstance(claims, ClientClaims):
        await clients.check_access(db, claims, label_id, WANTED, now=now)
        return heard & await clients.permissions_of(db, claims)
    await sessions.need_session(db, claims.session_id, claims.user_id, now=now)
    membership = await members.membership_of(db, claims.user_id, label_id)
    if membership is None:
        raise NotFound
    if membership["role"] not in PERMISSIONS[WANTED].roles:
        raise Forbidden
    if membership.get("label_deleting"):
        raise LabelDeleting
    return frozenset(permission for permission in heard if membership["role"] in PERMISSIONS[permission].roles)
