"""Calling Meta for a connection: on which host, with which token, and not while Meta wants no calls."""

from datetime import timedelta

from app.clients.graph_call import At, GraphHost
from app.clients.graph_errors import GraphError
from app.db import Doc
from app.models.features import UsedFor
from app.services.connections.hands import Hands
from app.services.operations import TryAgain
from app.services.vault.envelope import SealBroken
from app.services.vault.opening import NoSecret, NotAllowed

EXCEPTIONS = (GraphError, NotAllowed, NoSecret, SealBroken)
"""What opening a token and calling Meta raise."""


def host_of(hands: Hands, connection: Doc) -> GraphHost:
    """Meta's host where the account's owner logs in: a token of one is worth nothing at the other."""
    return hands.facebook if connection["provider"] == "facebook" else hands.graph


async def open_at(hands: Hands, connection: Doc, *, used_for: UsedFor, job: str) -> At:
    """Where to call for this connection. Raises `TryAgain` while Meta wants no calls, and what opening a token does."""
    host = host_of(hands, connection)
    account_id = str(connection["account"]["provider_id"])
    if pause_s := host.pause_left_s(account_id):
        raise TryAgain(hands.clock() + timedelta(seconds=pause_s), "rate_limited")
    token = await hands.open(connection, "access_token", used_for=used_for, job=job)
    return At(host=host, token=token, network=connection["network"], account_id=account_id)
