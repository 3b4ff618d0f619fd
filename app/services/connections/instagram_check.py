"""What a check finds out about an account that was connected by Instagram's log-in."""

from app.clients import graph as meta
from app.clients.credentials import Opened
from app.clients.graph_checks import publishing_quota, try_conversations, try_insights
from app.clients.graph_errors import Refused, TokenDead
from app.db import Doc
from app.models.features import NEEDS, Feature, granted_features
from app.services.connections import webhooks
from app.services.connections.facts import Facts, NothingLearnt, Quota, usage_of
from app.services.connections.hands import Hands
from app.services.connections.reauth import problem_of


async def look(hands: Hands, connection: Doc, job: Doc) -> Facts:
    """The facts, as far as they can be had. Only `GET /me` says whether the token is good.

    A later call that speaks of a dead token right after it has no more to say than any single refusal has. Raises
    `Unavailable`, `RateLimited`, `NothingLearnt`, `Malformed`, and what opening a token raises.
    """
    token = await hands.open(connection, "access_token", used_for="check", job=job["_id"])
    account_id = str(connection["active_account_id"])
    try:
        account = await meta.get_account(hands.graph, token, account_id=account_id)
    except TokenDead as exc:
        return Facts(dead=problem_of(exc))
    except Refused as exc:
        return Facts(trouble=_trouble_of(exc))
    if account.kind == "personal" or account.provider_id not in connection["account_ids"]:
        return Facts(trouble="account_unreachable")
    if hands.graph.pause_left_s(account_id):
        return Facts(usage=usage_of(hands.graph, account_id, hands.clock()))
    found = await webhooks.look(hands, connection, token)
    withdrawn, quota = await _permissions(hands, connection, token, account_id)
    return Facts(
        webhooks=found,
        withdrawn=withdrawn,
        lost_scopes=frozenset(
            scope for feature in withdrawn for scope in NEEDS["instagram", "instagram"].features[feature]
        ),
        quota=quota,
        usage=usage_of(hands.graph, account_id, hands.clock()),
        complete=True,
    )


def _trouble_of(refusal: Refused) -> str:
    if refusal.reason == "not_found":
        return "account_unreachable"
    if refusal.reason == "permission_lost":
        return "permission_withdrawn"
    raise NothingLearnt from refusal


async def _permissions(
    hands: Hands, connection: Doc, token: Opened, account_id: str
) -> tuple[frozenset[Feature], Quota | None]:
    """The features whose permission is withdrawn, by a call that needs it, and the publishing quota.

    Instagram has no list of permissions to read. Only a refusal that names permissions counts.
    """
    wanted = granted_features("instagram", "instagram", connection["features"], connection["granted_scopes"])
    withdrawn: set[Feature] = set()
    quota = None
    for feature in wanted:
        try:
            if feature == "publishing":
                found = await publishing_quota(hands.graph, token, account_id=account_id)
                quota = Quota(found.used, found.total, found.window_s) if found else None
            elif feature == "messages":
                await try_conversations(hands.graph, token, account_id=account_id)
            elif feature == "insights":
                await try_insights(hands.graph, token, account_id=account_id)
        except Refused as exc:
            withdrawn |= {feature} if exc.reason == "permission_lost" else set()
        except TokenDead:
            continue
    return frozenset(withdrawn), quota
