"""graph.instagram.com: which call goes where. Every call passes the faults, and every refusal gets its host's shape."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox import comments, conversations, insights, mentions, messages, oauth, profile, publishing
from sandbox.box import Sandbox
from sandbox.call import Call, account_of, need_token, sent_token
from sandbox.errors import GraphError, unsupported
from sandbox.faults import error_response, magic_fault, outgoing_text, perform, read_params, take_fault
from sandbox.fetching import fetch_named

NEWEST_VERSION = "v26.0"
METHODS = ["GET", "POST", "DELETE"]
FETCHING = ("media", "photos", "videos")
"""The edges to which files are given by their address."""
Handler = Callable[[Request, dict[str, Any]], Response]

EDGES: Mapping[tuple[str, str], Callable[[Call, str], dict[str, Any]]] = {
    ("GET", "subscribed_apps"): profile.list_subscriptions,
    ("POST", "subscribed_apps"): profile.subscribe,
    ("DELETE", "subscribed_apps"): profile.unsubscribe,
    ("POST", "messages"): messages.send,
    ("GET", "messages"): conversations.list_messages,
    ("GET", "conversations"): conversations.list_conversations,
    ("GET", "media"): comments.list_media,
    ("POST", "media"): publishing.create_container,
    ("POST", "media_publish"): publishing.publish,
    ("GET", "content_publishing_limit"): publishing.publishing_limit,
    ("GET", "insights"): insights.account_insights,
    ("GET", "stories"): insights.list_stories,
    ("GET", "comments"): comments.list_comments,
    ("POST", "comments"): comments.comment_on_media,
    ("GET", "replies"): comments.list_replies,
    ("POST", "replies"): comments.reply_to_comment,
    ("POST", "mentions"): mentions.reply,
}


def graph_routes(box: Sandbox) -> APIRouter:
    """The calls on graph.instagram.com and the code exchange on api.instagram.com."""
    router = APIRouter()

    def exchange(request: Request, params: dict[str, Any]) -> Response:
        return oauth.exchange_code(box, params)

    def lengthen(request: Request, params: dict[str, Any]) -> Response:
        return JSONResponse(oauth.lengthen_token(box, params, sent_token(request, params)))

    def refresh(request: Request, params: dict[str, Any]) -> Response:
        return JSONResponse(oauth.refresh_token(box, params, sent_token(request, params)))

    def anything(request: Request, params: dict[str, Any]) -> Response:
        return JSONResponse(answer_call(box, request, params))

    routes: list[tuple[str, list[str], Handler]] = [
        ("/api.instagram.com/oauth/access_token", ["POST"], exchange),
        ("/graph.instagram.com/access_token", ["GET"], lengthen),
        ("/graph.instagram.com/refresh_access_token", ["GET"], refresh),
        ("/graph.instagram.com/{path:path}", METHODS, anything),
    ]
    for path, methods, handler in routes:
        router.add_api_route(path, guarded(box, handler), methods=methods)
    return router


def guarded(box: Sandbox, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The handler behind the faults, with errors and headers as the called host gives them."""

    async def endpoint(request: Request) -> Response:
        path = request.scope["sandbox.path"]
        try:
            params = await read_params(request)
            fault = take_fault(box, request, path, box.world.tokens.get(sent_token(request, params)))
            fault = fault or (magic_fault(words_of(box, path, params)) if request.method == "POST" else None)

            async def execute() -> Response:
                if request.method == "POST" and path.rpartition("/")[2] in FETCHING:
                    params["sandbox.files"] = await fetch_named(box.http, params)
                elif path.startswith("/rupload.facebook.com/"):
                    params["sandbox.files"] = await fetch_named(box.http, {"file_url": request.headers.get("file_url")})
                return handler(request, params)

            response = await perform(fault, execute)
        except GraphError as error:
            response = error_response(error, path)
        response.headers["facebook-api-version"] = request.scope["sandbox.version"] or NEWEST_VERSION
        response.headers.update(box.world.usage_headers)
        return response

    return endpoint


def words_of(box: Sandbox, path: str, params: dict[str, Any]) -> str:
    """The words that a call sends, or with which it shows what was prepared."""
    posted, node = box.world.posted, path.rpartition("/")[2]
    if node == "media_publish":
        container = posted.containers.get(str(params.get("creation_id")))
        return container.caption if container else ""
    if node in posted.items and not posted.items[node].published:
        return posted.items[node].text
    return "" if str(params.get("published", "")).lower() == "false" else outgoing_text(params)


def answer_call(box: Sandbox, request: Request, params: dict[str, Any]) -> dict[str, Any]:
    """Answer a call on a node or one of its edges."""
    path = request.scope["path"].removeprefix("/graph.instagram.com")
    token = need_token(box, sent_token(request, params))
    version = request.scope["sandbox.version"]
    base = f"{request.url.scheme}://{request.url.netloc}/graph.instagram.com" + (f"/{version}" if version else "")
    call = Call(box, request.method, base, path, token, account_of(token), params)
    match path.strip("/").split("/"):
        case [node] if node:
            return answer_node(call, node)
        case [node, edge] if (call.method, edge) in EDGES:
            return EDGES[call.method, edge](call, node)
    raise GraphError(2500, f"Unknown path components: {path}", type="IGApiException")


def answer_node(call: Call, node: str) -> dict[str, Any]:
    """Answer a call on an object, whatever kind of object it is."""
    world, media = call.box.world, call.box.world.posted.find_media(node)
    comment, message, thread = world.comments.get(node), world.messages.get(node), world.threads.get(node)
    if node in ("me", call.account.id, call.account.scoped_id) and call.method == "GET":
        return mentions.show(call) if mentions.is_asked(call) else profile.show_account(call)
    if media and media.account_id == call.account.id:
        if call.method == "GET":
            return comments.show_media(call, media)
        if call.method == "POST":
            return comments.switch_comments(call, media)
        return publishing.delete_media(call, node)
    container = world.posted.containers.get(node)
    if container and container.account_id == call.account.id and call.method == "GET":
        return publishing.show_container(call, container)
    if comment and comment.account_id == call.account.id:
        actions = {"GET": comments.show_comment, "POST": comments.hide_comment, "DELETE": comments.delete_comment}
        return actions[call.method](call, comment)
    if thread and thread.account_id == call.account.id and call.method == "GET":
        return conversations.show_conversation(call, thread)
    if message and message.account_id == call.account.id and call.method == "GET":
        return conversations.show_message(call, message)
    if call.method == "GET":
        return conversations.show_fan(call, node)
    raise unsupported(call.method, node)
