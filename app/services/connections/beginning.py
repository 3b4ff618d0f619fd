"""Beginning to connect an account, or to connect it anew: from the wish to the code that comes back."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from app.db import ALL_LABELS, Database, Doc, Session
from app.derived_keys import derive
from app.errors import FieldError, InvalidInput, InvalidState, ProviderNotAvailable
from app.ids import new_id
from app.models.features import Feature, Provider, asked_scopes, features_of
from app.services import operations, pkce
from app.services.audit import Audit, By
from app.services.connections import store
from app.services.vault.ring import PublicRing
from app.services.vault.secrets import put_secret
from app.settings import Settings

STATE_LIFE = timedelta(minutes=10)
PENDING_LIFE = timedelta(hours=24)
"""A log-in that nobody finished is forgotten then."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants to connect, and where their browser goes afterwards."""

    provider: Provider
    features: list[Feature]
    return_to: str | None
    renews: str | None = None
    """The connection that gets the fresh tokens, when it is one that is there."""
    keeps_features: bool = False
    """Of a renewal: what is switched on when it is completed stays as it is."""


@dataclass(frozen=True)
class Beginner:
    """Whose log-in it is: only this session can finish it."""

    label_id: str
    user_id: str
    session_id: str
    by: By = field(repr=False)


def check_return_to(settings: Settings, return_to: str) -> None:
    """Raise `InvalidInput` unless a person may be sent there: to our own origins, or in development to any site."""
    refusal = InvalidInput(errors=(FieldError("/return_to", "must lead to one of the app's origins"),))
    try:
        parts = urlsplit(return_to)
    except ValueError:
        raise refusal from None
    origin = f"{parts.scheme}://{parts.netloc}"
    known = {*settings.origins, f"{urlsplit(settings.public_url).scheme}://{urlsplit(settings.public_url).netloc}"}
    anywhere = settings.environment == "development" and not settings.origins
    if parts.scheme not in ("http", "https") or not parts.hostname or not (anywhere or origin in known):
        raise refusal


def check_features(provider: Provider, features: list[Feature]) -> None:
    """Raise `InvalidInput` for a feature that this provider's accounts do not have."""
    strange = sorted(set(features) - features_of(provider))
    if strange:
        raise InvalidInput(errors=(FieldError("/features", f"{provider} has no {', '.join(strange)}"),))


async def begin(
    db: Database, settings: Settings, audit: Audit, wish: Wish, who: Beginner, *, now: datetime
) -> tuple[Doc, str]:
    """A pending connection, and where its owner logs in. The `state` in it works once, for this session, 10 minutes.

    Raises `InvalidInput`, and `ProviderNotAvailable` where we have no app at the provider.
    """
    check_features(wish.provider, wish.features)
    if not settings.has_app_at(wish.provider):
        raise ProviderNotAvailable
    connection = _pending(who.label_id, wish, now=now)
    state = secrets.token_urlsafe(32)
    pending = {
        "_id": _digest(state),
        "label_id": who.label_id,
        "connection_id": connection["_id"],
        "provider": wish.provider,
        "user_id": who.user_id,
        "session_id": who.session_id,
        "return_to": wish.return_to,
        "expires_at": now + STATE_LIFE,
    }

    async def both(session: Session) -> None:
        await db.open("connections").insert_one(connection, session=session)
        await db.open("oauth_states").insert_one(pending, session=session)
        told = {"provider": wish.provider, "features": " ".join(wish.features)}
        told |= {"renews": wish.renews} if wish.renews else {}
        where = {"label_id": who.label_id, "target": connection["_id"]}
        await audit.record(who.by, "connection.begun", **where, details=told, now=now, session=session)

    await db.in_transaction(both)
    return connection, authorize_url(settings, wish.provider, connection["asked_scopes"], state)


def authorize_url(settings: Settings, provider: Provider, scopes: list[str], state: str) -> str:
    """Where the owner's browser goes to log in (Meta, 2026-02; Spotify, 2026-08)."""
    query = {"response_type": "code", "redirect_uri": settings.redirect_uri(provider), "state": state}
    if provider == "instagram":
        query |= {"client_id": settings.instagram_app_id, "scope": ",".join(scopes)}
        return f"{settings.instagram_www_url}/oauth/authorize?{urlencode(query)}"
    if provider == "facebook":
        query |= {"client_id": settings.meta_app_id, "scope": ",".join(scopes), "auth_type": "rerequest"}
        return f"{settings.facebook_www_url}/{settings.graph_version}/dialog/oauth?{urlencode(query)}"
    challenge = pkce.challenge_of(pkce.verifier_of(derive(settings, "PKCE"), state))
    query |= {"client_id": settings.spotify_client_id, "code_challenge": challenge, "code_challenge_method": "S256"}
    query |= {"scope": " ".join(scopes)} if scopes else {}
    return f"{settings.spotify_accounts_url}/authorize?{urlencode(query)}"


def verifier_of(settings: Settings, provider: Provider, state: str) -> str | None:
    """The PKCE verifier of this log-in; none at a provider that knows none."""
    return pkce.verifier_of(derive(settings, "PKCE"), state) if provider == "spotify" else None


def _pending(label_id: str, wish: Wish, *, now: datetime) -> Doc:
    return {
        "_id": new_id("con"),
        "label_id": label_id,
        "provider": wish.provider,
        "network": None,
        "status": "pending",
        "problem": None,
        "features": wish.features,
        "active_features": [],
        "asked_scopes": asked_scopes(wish.provider, wish.features),
        "granted_scopes": [],
        "account": None,
        "account_ids": [],
        "person_ids": [],
        "subscription_id": None,
        "subscribed_fields": [],
        "token_version": 0,
        "token_issued_at": None,
        "token_expires_at": None,
        "access_ends_at": None,
        "renews": wish.renews,
        "keeps_features": wish.keeps_features,
        "step": "log_in",
        "abandon_at": now + PENDING_LIFE,
        "created_at": now,
        "version": 1,
    }


async def consume_state(db: Database, state: str, *, provider: str, session_id: str | None, now: datetime) -> Doc:
    """Use a `state` up. Raises `InvalidState`.

    `session_id` is the session that the browser showed, none if it showed none (the caller decides whether it may).
    """
    query = {"_id": _digest(state)}
    found = await db.open("oauth_states").find_one(query, comment=f"{ALL_LABELS}a state, before its label is known")
    if found is None or found["expires_at"] <= now or found["provider"] != provider:
        raise InvalidState
    if session_id is not None and session_id != found["session_id"]:
        raise InvalidState
    used = await db.open("oauth_states").delete_one(query | {"label_id": found["label_id"]})
    if used.deleted_count == 0:
        raise InvalidState
    return found


async def accept_code(
    db: Database, ring: PublicRing, pending: Doc, *, code: str, verifier: str | None, now: datetime
) -> Doc:
    """Seal the code, and where there is one its PKCE verifier, and have a worker exchange it: all, or nothing.

    The operation. Raises `InvalidState` when the connection was ended meanwhile.
    """
    connection = await store.need(db, pending["label_id"], pending["connection_id"])
    if connection["status"] != "pending":
        raise InvalidState
    sealed = {"code": code.removesuffix("#_").removesuffix("#_=_")} | ({"verifier": verifier} if verifier else {})

    async def all_of_it(session: Session) -> Doc:
        await store.update(db, connection, {"step": "exchange", "authorized_at": now}, session=session)
        for purpose, secret in sealed.items():
            await put_secret(db, ring, secret, connection=connection, purpose=purpose, now=now, session=session)
        return await operations.add(
            db,
            label_id=connection["label_id"],
            kind="exchange_code",
            target=connection["_id"],
            connection_id=connection["_id"],
            key=f"exchange_code:{connection['_id']}",
            now=now,
            session=session,
        )

    return await db.in_transaction(all_of_it)


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
