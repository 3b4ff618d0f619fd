"""What a check finds out about a Page, or the Instagram account behind it, that was connected by Facebook's log-in."""

from app.clients import facebook as meta
from app.clients.credentials import Opened
from app.clients.graph_checks import publishing_quota, read_account
from app.clients.graph_errors import GraphError, Refused, TokenDead
from app.db import Doc
from app.models.features import Feature, granted_features
from app.services.connections import webhooks
from app.services.connections.facts import Facts, NothingLearnt, Quota, usage_of
from app.services.connections.hands import Hands
from app.services.connections.reauth import PROBLEMS, problem_of


async def look(hands: Hands, connection: Doc, job: Doc) -> Facts:
    """The facts, as far as they can be had: what Facebook says of the token, and whether it still opens the account.

    Raises `Unavailable`, `RateLimited`, `NothingLearnt`, `Malformed`, and what opening a token raises.
    """
    token = await hands.open(connection, "access_token", used_for="check", job=job["_id"])
    account_id = str(connection["active_account_id"])
    try:
        said = await meta.debug_token(hands.facebook, token)
        if said.app_id not in ("", hands.facebook.app_id) or (said.is_valid and not said.app_id):
            raise NothingLearnt  # of a token that means nothing to it, Facebook does not always name the app
        if not said.is_valid:
            return Facts(dead=PROBLEMS.get(said.dead_subcode, "token_invalid"))
        await read_account(hands.facebook, token, account_id=account_id)
    except TokenDead as exc:
        return Facts(dead=problem_of(exc))
    except Refused as exc:
        if exc.reason == "not_found":
            return Facts(trouble="account_unreachable", usage=usage_of(hands.facebook, account_id, hands.clock()))
        if exc.reason != "permission_lost":
            raise NothingLearnt from exc
    kind, logged_in = connection["account"]["kind"], connection["granted_scopes"]
    before = granted_features("facebook", kind, connection["features"], logged_in)
    still = granted_features("facebook", kind, before, said.scopes)
    return Facts(
        webhooks=await webhooks.look(hands, connection, token),
        withdrawn=frozenset(before) - frozenset(still),
        lost_scopes=frozenset(logged_in) - frozenset(said.scopes),
        quota=await _quota(hands, token, account_id, still) if kind == "instagram" else None,
        usage=usage_of(hands.facebook, account_id, hands.clock()),
        complete=True,
    )


async def _quota(hands: Hands, token: Opened, account_id: str, features: list[Feature]) -> Quota | None:
    if "publishing" not in features:
        return None
    try:
        found = await publishing_quota(hands.facebook, token, account_id=account_id)
    except GraphError:
        return None
    return Quota(found.used, found.total, found.window_s) if found else None
