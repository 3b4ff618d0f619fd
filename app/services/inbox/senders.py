"""Who calls Meta's messages for a connection: its token, the host where that is worth something, and the platform."""

from app.clients.graph_messages import Platform, Sender
from app.db import Doc
from app.services.connections.calling import host_of
from app.services.connections.hands import Hands


def platform_of(connection: Doc) -> Platform:
    """Where the conversations of this account are."""
    return "messenger" if connection["network"] == "facebook" else "instagram"


async def open_sender(hands: Hands, connection: Doc, *, job: str) -> Sender:
    """Open the connection's token for its messages. Raises `NotAllowed`, `NoSecret`, `SealBroken`."""
    token = await hands.open(connection, "access_token", used_for="messages", job=job)
    return Sender(host_of(hands, connection), token, connection["active_account_id"], platform_of(connection))
