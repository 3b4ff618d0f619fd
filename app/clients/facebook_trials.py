"""Trying out what a Page's token can do, with the calls it will be used for and nothing changed by them."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.clients import answers
from app.clients.credentials import Opened
from app.clients.facebook import Facebook, subscribed_fields
from app.clients.graph import OF_THE_CONNECTION
from app.clients.graph_call import need, retried
from app.clients.graph_errors import Refused
from app.models.features import WITH_WEBHOOKS, AccountKind, Feature


async def try_feature(
    facebook: Facebook, token: Opened, feature: Feature, *, kind: AccountKind, page_id: str, account_id: str
) -> None:
    """Return if the token serves this feature of the Page, or of the Instagram account behind it (`account_id`).

    Raises `Refused` if it does not, and any other `GraphError` when nothing is known.
    """
    if feature in WITH_WEBHOOKS:
        await subscribed_fields(facebook, token, page_id=page_id)
    await TRIALS[kind, feature](facebook, token, page_id if feature == "messages" else account_id)


async def _read(facebook: Facebook, token: Opened, path: str, **params: str) -> dict[str, Any]:
    told = {"token": token, "used_for": OF_THE_CONNECTION}
    return await retried(facebook, "GET", facebook.address(path), params=params, **told)


async def _conversations_on_messenger(facebook: Facebook, token: Opened, page_id: str) -> None:
    await _read(facebook, token, f"/{page_id}/conversations", platform="messenger", limit="1")


async def _conversations_on_instagram(facebook: Facebook, token: Opened, page_id: str) -> None:
    await _read(facebook, token, f"/{page_id}/conversations", platform="instagram", limit="1")


async def _feed(facebook: Facebook, token: Opened, page_id: str) -> None:
    await _read(facebook, token, f"/{page_id}/feed", fields="id", limit="1")


async def _comments_of_media(facebook: Facebook, token: Opened, account_id: str) -> None:
    """The media alone would say nothing: it takes no scope of the comments."""
    listed = await _read(facebook, token, f"/{account_id}/media", fields="id", limit="1")
    for media in need(answers.rows(listed.get("data"))):
        await _read(facebook, token, f"/{need(answers.identifier(media.get('id')))}/comments", limit="1")


async def _publishing_limit(facebook: Facebook, token: Opened, account_id: str) -> None:
    await _read(facebook, token, f"/{account_id}/content_publishing_limit", fields="quota_usage,config")


async def _page_itself(facebook: Facebook, token: Opened, page_id: str) -> None:
    """Nothing can be tried without publishing; whether the person may is said by their tasks."""
    await _read(facebook, token, f"/{page_id}", fields="id,name")


async def _page_insights(facebook: Facebook, token: Opened, page_id: str) -> None:
    await _insights(facebook, token, page_id, metric="page_follows")


async def _account_insights(facebook: Facebook, token: Opened, account_id: str) -> None:
    await _insights(facebook, token, account_id, metric="reach")


async def _insights(facebook: Facebook, token: Opened, node: str, *, metric: str) -> None:
    """A metric that has been withdrawn, or that a small account lacks, says nothing of the right to read."""
    try:
        await _read(facebook, token, f"/{node}/insights", metric=metric, period="day")
    except Refused as exc:
        if exc.reason != "invalid_request":
            raise


TRIALS: dict[tuple[AccountKind, Feature], Callable[[Facebook, Opened, str], Awaitable[None]]] = {
    ("page", "messages"): _conversations_on_messenger,
    ("page", "comments"): _feed,
    ("page", "publishing"): _page_itself,
    ("page", "insights"): _page_insights,
    ("instagram", "messages"): _conversations_on_instagram,
    ("instagram", "comments"): _comments_of_media,
    ("instagram", "publishing"): _publishing_limit,
    ("instagram", "insights"): _account_insights,
}
