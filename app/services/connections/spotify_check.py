"""What a check finds out about a Spotify account."""

from app.clients import spotify
from app.clients.spotify_errors import GrantInvalid, NotAllowed, Refused, TokenExpired
from app.db import Doc
from app.services.connections.facts import Facts, NothingLearnt
from app.services.connections.hands import Hands
from app.services.connections.refreshing import refreshed_since, usable_token


async def look(hands: Hands, connection: Doc, job: Doc) -> Facts:
    """Whether the token opens its account. Refreshing finds out by itself that a grant has ended.

    A token that Spotify does not take, although it should live, is refreshed once for this check (`job`). Raises
    `NothingLearnt`, `TryAgain`, `GiveUp`, what the client raises when Spotify is away, and what opening raises.
    """
    token = await usable_token(hands, connection, used_for="check", job=job["_id"])
    try:
        account = await spotify.me(hands.spotify, token.reveal("check"))
    except GrantInvalid:
        return Facts(dead="token_invalid")
    except NotAllowed:
        return Facts(trouble="not_allowlisted")
    except TokenExpired as exc:
        await refreshed_since(hands, connection, job["created_at"])
        raise NothingLearnt from exc
    except Refused as exc:
        raise NothingLearnt from exc
    if account.account_id != connection["account"]["provider_id"]:
        return Facts(trouble="account_unreachable")
    return Facts(complete=True)
