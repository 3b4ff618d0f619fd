"""graph.facebook.com: which call goes where. Every call passes the faults, as on the Instagram hosts."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox import (
    comments,
    conversations,
    facebook_comments,
    facebook_login,
    facebook_pages,
    facebook_tokens,
    insights,
    mentions,
    page_insights,
    page_publishing,
    publishing,
)
from sandbox.box import Sandbox
from sandbox.call import Call, sent_token
from sandbox.errors import GraphError, unsupported
from sandbox.facebook_call import FacebookCall, need_facebook_token
from sandbox.facebook_seed import PAGE_BY_ID, Page, fan_of_page
from sandbox.graph import METHODS, guarded
from sandbox.graph import answer_node as answer_instagram_node
from sandbox.seed import ACCOUNTS

PREFIX = "/graph.facebook.com"
UPLOADS = "/rupload.facebook.com/video-upload/{version}/{video_id}"
Answer = dict[str, Any]

PAGE_EDGES: Mapping[tuple[str, str], Callable[[FacebookCall, Page], Answer]] = {
    ("GET", "subscribed_apps"): facebook_pages.list_subscriptions,
    ("POST", "subscribed_apps"): facebook_pages.subscribe,
    ("DELETE", "subscribed_apps"): facebook_pages.unsubscribe,
    ("GET", "conversations"): facebook_pages.list_conversations,
    ("POST", "messages"): facebook_pages.send,
    ("GET", "feed"): facebook_pages.list_posts,
    ("POST", "feed"): page_publishing.create_post,
    ("POST", "photos"): page_publishing.create_photo,
    ("POST", "videos"): page_publishing.create_video,
    ("POST", "video_reels"): page_publishing.reel,
    ("POST", "photo_stories"): page_publishing.publish_photo_story,
    ("POST", "video_stories"): page_publishing.video_story,
    ("GET", "stories"): page_publishing.list_stories,
    ("GET", "posts"): facebook_pages.list_posts,
    ("GET", "insights"): page_insights.page_insights,
}
INSTAGRAM_EDGES: Mapping[tuple[str, str], tuple[str | None, Callable[[Call, str], Answer]]] = {
    ("GET", "media"): (None, comments.list_media),
    ("POST", "media"): ("CREATE_CONTENT", publishing.create_container),
    ("POST", "media_publish"): ("CREATE_CONTENT", publishing.publish),
    ("GET", "content_publishing_limit"): ("CREATE_CONTENT", publishing.publishing_limit),
    ("GET", "insights"): ("ANALYZE", insights.account_insights),
    ("GET", "stories"): (None, insights.list_stories),
    ("GET", "comments"): ("MODERATE", comments.list_comments),
    ("POST", "comments"): ("MODERATE", comments.comment_on_media),
    ("GET", "replies"): ("MODERATE", comments.list_replies),
    ("POST", "replies"): ("MODERATE", comments.reply_to_comment),
    ("POST", "mentions"): ("MODERATE", mentions.reply),
    ("GET", "messages"): ("MESSAGING", conversations.list_messages),
}
"""With the task that the person needs on the Page behind which the account is."""


def facebook_routes(box: Sandbox) -> APIRouter:
    """All calls on graph.facebook.com."""
    router = APIRouter()

    def exchange(request: Request, params: Answer) -> Response:
        return JSONResponse(facebook_login.exchange(box, params))

    def anything(request: Request, params: Answer) -> Response:
        return JSONResponse(answer_call(box, request, params))

    def upload(request: Request, params: Answer) -> Response:
        value = sent_token(request, params)
        call = FacebookCall(box, "POST", PREFIX, "", need_facebook_token(box, value, params), params)
        return JSONResponse(page_publishing.upload(call, request.path_params["video_id"]))

    router.add_api_route(UPLOADS, guarded(box, upload), methods=["POST"])
    router.add_api_route(f"{PREFIX}/oauth/access_token", guarded(box, exchange), methods=["GET", "POST"])
    router.add_api_route(PREFIX + "/{path:path}", guarded(box, anything), methods=METHODS)
    return router


def answer_call(box: Sandbox, request: Request, params: Answer) -> Any:
    """Answer a call on a node or one of its edges."""
    path = request.scope["path"].removeprefix(PREFIX)
    method, value, parts = request.method, sent_token(request, params), path.strip("/").split("/")
    match parts:
        case ["debug_token"] if method == "GET":
            return facebook_tokens.debug_token(box, value, params)
        case [node, "permissions"]:
            return facebook_tokens.answer_permissions(box, method, node, None, value, params)
        case [node, "permissions", name]:
            return facebook_tokens.answer_permissions(box, method, node, name, value, params)
    token = need_facebook_token(box, value, params)
    version = request.scope["sandbox.version"]
    base = f"{request.url.scheme}://{request.url.netloc}{PREFIX}" + (f"/{version}" if version else "")
    call = FacebookCall(box, method, base, path, token, params)
    node = token.account_id if parts[0] == "me" else parts[0]
    match parts:
        case [named] if named:
            return answer_node(call, node)
        case [_, edge]:
            return answer_edge(call, node, edge)
    raise GraphError(2500, f"Unknown path components: {path}")


def answer_node(call: FacebookCall, node: str) -> Answer:
    """Answer a call on a person, a Page, or something of an Instagram account."""
    if call.method == "GET" and node == call.person.id and call.token.kind == "user":
        return facebook_pages.show_person(call)
    if call.method == "GET" and node in PAGE_BY_ID:
        return facebook_pages.show_page(call, PAGE_BY_ID[node])
    if node in PAGE_BY_ID:
        raise unsupported(call.method, node)
    if call.method == "GET" and any(node == account.id for account in ACCOUNTS):
        return facebook_pages.show_account(call, node)
    of_page = facebook_comments.comment_of_page(call.box, node)
    if of_page:
        return facebook_comments.answer_node(call, of_page)
    item = call.box.world.posted.find_item(node)
    if item:
        return page_publishing.answer_item(call, item)
    if call.method == "GET" and fan_of_page(node):
        return facebook_pages.show_fan(call, node)
    found = call.box.world.threads.get(node) or call.box.world.messages.get(node)
    if found and found.account_id in PAGE_BY_ID:
        page = PAGE_BY_ID[found.account_id]
        call.need_page(page)
        return answer_instagram_node(call.on_messenger(page), node)
    on_instagram, _ = call.instagram(node)
    return answer_instagram_node(on_instagram, node)


def answer_edge(call: FacebookCall, node: str, edge: str) -> Answer:
    """Answer a call on an edge of a person, a Page, or something of an Instagram account."""
    key = (call.method, edge)
    if key == ("GET", "accounts"):
        return facebook_pages.list_pages(call, node)
    if node in PAGE_BY_ID and key in PAGE_EDGES:
        return PAGE_EDGES[key](call, PAGE_BY_ID[node])
    is_post = facebook_comments.page_of_post(call.box, node) is not None
    if edge == "comments" and (is_post or facebook_comments.comment_of_page(call.box, node)):
        return (facebook_comments.write if call.method == "POST" else facebook_comments.list_below)(call, node)
    if key == ("GET", "insights") and is_post:
        return page_insights.post_insights(call, node)
    if key in INSTAGRAM_EDGES:
        task, handler = INSTAGRAM_EDGES[key]
        on_instagram, page = call.instagram(node)
        if task:
            call.need_task(page, task)
        return handler(on_instagram, node)
    raise GraphError(2500, f"Unknown path components: /{node}/{edge}")
