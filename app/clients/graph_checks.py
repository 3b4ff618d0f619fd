"""What a check asks of an Instagram account, on whichever of Meta's hosts its owner has logged in."""

from dataclasses import dataclass

from app.clients import answers
from app.clients.credentials import Opened
from app.clients.graph_call import GraphHost, retried


@dataclass(frozen=True)
class PublishingQuota:
    """How many posts the account has published through apps in the last `window_s` seconds, and may at most."""

    used: int
    total: int | None
    window_s: int | None


async def publishing_quota(host: GraphHost, token: Opened, *, account_id: str) -> PublishingQuota | None:
    """How much of the publishing quota is used; none when Meta does not say. Source: Meta, 2026-02 (50, or 100)."""
    params = {"fields": "quota_usage,config"}
    url = host.address(f"/{account_id}/content_publishing_limit")
    body = await retried(host, "GET", url, token=token, used_for=("check",), account_id=account_id, params=params)
    first = (answers.rows(body.get("data")) or [{}])[0]
    if (used := answers.whole(first.get("quota_usage"))) is None:
        return None
    config = answers.table(first.get("config")) or {}
    return PublishingQuota(used, answers.whole(config.get("quota_total")), answers.whole(config.get("quota_duration")))


async def read_account(host: GraphHost, token: Opened, *, account_id: str) -> None:
    """Read no more of the account than its id. Raises `Refused` (`not_found`) when the token does not lead to it."""
    url = host.address(f"/{account_id}")
    params = {"fields": "id"}
    await retried(host, "GET", url, token=token, used_for=("check",), account_id=account_id, params=params)


async def try_conversations(host: GraphHost, token: Opened, *, account_id: str) -> None:
    """Ask for one conversation's id, as a look at whether messages may be read; what comes back is dropped."""
    params = {"platform": "instagram", "limit": "1", "fields": "id"}
    url = host.address("/me/conversations")
    await retried(host, "GET", url, token=token, used_for=("check",), account_id=account_id, params=params)


async def try_insights(host: GraphHost, token: Opened, *, account_id: str) -> None:
    """Ask for the account's reach, as a look at whether insights may be read; what comes back is dropped."""
    params = {"metric": "reach", "period": "day", "metric_type": "total_value"}
    url = host.address(f"/{account_id}/insights")
    await retried(host, "GET", url, token=token, used_for=("check",), account_id=account_id, params=params)
