"""Publishing at the sandbox: containers, their statuses, what is fetched and what is refused, quotas, Pages."""

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.flows.publishing_harness import VIDEO, picture
from tests.sandbox.facebook_harness import MARKET, PERMISSIONS, Facebook, facebook_login
from tests.sandbox.sandbox_harness import Graph, Sandbox, refusal

JPEG = picture()
FILES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/square.jpg": (200, JPEG, {}),
    "/tall.jpg": (200, picture(400, 900), {}),
    "/large.jpg": (200, JPEG + bytes(8_000_001), {}),
    "/png.jpg": (200, b"\x89PNG\r\n\x1a\n" + bytes(100), {}),
    "/clip.mp4": (200, VIDEO, {}),
    "/moved.jpg": (302, b"", {"location": "/square.jpg"}),
}


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    """A server of files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = FILES.get(self.path, (404, b"", {}))
            self.send_response(status)
            for name, value in ({"content-length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def graph(sandbox: Sandbox) -> Graph:
    """An account that may publish."""
    return sandbox.login()


@pytest.fixture
def page(sandbox: Sandbox) -> Facebook:
    """A Page on which somebody may publish."""
    scopes = f"{PERMISSIONS},pages_manage_posts,pages_manage_engagement,pages_read_user_content"
    return facebook_login(sandbox, scope=scopes).page(MARKET)


def post(page: Facebook, path: str, **form: str) -> Any:
    """What a Page's call is answered."""
    return page.call("POST", path, data=form).json()


def container(graph: Graph, **form: str) -> str:
    """A container that is taken."""
    answer = graph.post("/me/media", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def status(graph: Graph, container_id: str) -> str:
    """How far it is."""
    return str(graph.get(f"/{container_id}", fields="status_code,status").json()["status_code"])


def publish(graph: Graph, container_id: str) -> httpx.Response:
    """Publish it."""
    return graph.post("/me/media_publish", data={"creation_id": container_id})


def test_a_picture(sandbox: Sandbox, graph: Graph, files: str) -> None:
    """It is published once; then its container says so, and it is among the account's media."""
    made = container(graph, image_url=f"{files}/square.jpg", caption="Out on Friday.")
    assert status(graph, made) == "FINISHED" and not sandbox.ledger("media_published")
    media_id = publish(graph, made).json()["id"]
    assert status(graph, made) == "PUBLISHED" and refusal(publish(graph, made)) == (9007, 2207027)
    (row,) = sandbox.ledger("media_published")
    assert (row["media_id"], row["caption"]) == (media_id, "Out on Friday.")
    shown = graph.get(f"/{media_id}", fields="permalink,caption,media_type,media_product_type").json()
    assert shown["permalink"] == f"https://www.instagram.com/p/{media_id}/" and shown["media_type"] == "IMAGE"
    listed = graph.get("/me/media", fields="id,caption").json()["data"]
    assert (listed[0]["id"], len(listed)) == (media_id, 4)
    assert graph.post(f"/{media_id}/comments", data={"message": "First."}).json()["id"]
    assert refusal(graph.call("DELETE", f"/{media_id}")) == (100, 33)


def test_a_carousel(sandbox: Sandbox, graph: Graph, files: str) -> None:
    """Of two to ten items that are ready."""
    sandbox.control("PUT", "/publishing", {"video_s": 30})
    picture_item = container(graph, image_url=f"{files}/square.jpg", is_carousel_item="true")
    video_item = container(graph, video_url=f"{files}/clip.mp4", media_type="VIDEO", is_carousel_item="true")
    form = {"media_type": "CAROUSEL", "caption": "Three.", "children": f"{picture_item},{video_item}"}
    assert refusal(graph.post("/me/media", data=form)) == (9007, 2207027)
    assert refusal(graph.post("/me/media", data=form | {"children": picture_item})) == (100, 2207028)
    assert refusal(graph.post("/me/media", data=form | {"children": f"{picture_item},178"})) == (24, 2207006)
    sandbox.control("PUT", "/clock", {"offset_s": 31})
    assert refusal(publish(graph, picture_item)) == (24, 2207006)
    assert publish(graph, container(graph, **form)).status_code == 200
    (row,) = sandbox.ledger("media_published")
    assert row["media_type"] == "CAROUSEL_ALBUM"


def test_a_reel_takes_its_time_and_a_container_ends(sandbox: Sandbox, graph: Graph, files: str) -> None:
    """In progress, finished, and after a day expired."""
    sandbox.control("PUT", "/publishing", {"video_s": 60})
    made = container(graph, video_url=f"{files}/clip.mp4", media_type="REELS", caption="A reel.")
    assert status(graph, made) == "IN_PROGRESS" and refusal(publish(graph, made)) == (9007, 2207027)
    sandbox.control("PUT", "/clock", {"offset_s": 61})
    assert status(graph, made) == "FINISHED"
    sandbox.control("PUT", "/clock", {"offset_s": 86_401})
    assert status(graph, made) == "EXPIRED" and refusal(publish(graph, made)) == (24, 2207008)


@pytest.mark.parametrize(("behaviour", "told"), [("error", "ERROR"), ("expired", "EXPIRED"), ("never", "IN_PROGRESS")])
def test_containers_as_ordered(sandbox: Sandbox, graph: Graph, files: str, behaviour: str, told: str) -> None:
    """The next one, and not the one after it."""
    sandbox.control("POST", "/publishing/orders", {"behaviour": behaviour})
    first, second = (container(graph, image_url=f"{files}/square.jpg") for _ in range(2))
    assert (status(graph, first), status(graph, second)) == (told, "FINISHED")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"image_url": "{files}/gone.jpg"}, (9004, 2207052)),
        ({"image_url": "{files}/moved.jpg"}, (9004, 2207052)),
        ({"image_url": "ftp://example.test/a.jpg"}, (9004, 2207052)),
        ({"image_url": "{files}/grün.jpg"}, (9004, 2207052)),
        ({"image_url": "{files}/png.jpg"}, (36001, 2207005)),
        ({"image_url": "{files}/large.jpg"}, (36000, 2207004)),
        ({"image_url": "{files}/tall.jpg"}, (36003, 2207009)),
        ({"image_url": "{files}/clip.mp4"}, (36001, 2207005)),
        ({"video_url": "{files}/square.jpg", "media_type": "REELS"}, (352, 2207026)),
        ({"image_url": "{files}/square.jpg", "media_type": "ALBUM"}, (100, 2207023)),
        ({"image_url": "{files}/square.jpg", "caption": "a" * 2201}, (36004, 2207010)),
        ({"image_url": "{files}/square.jpg", "caption": "#a " * 31}, (36004, 2207010)),
        ({"image_url": "{files}/square.jpg", "media_type": "STORIES", "alt_text": "A bird"}, (100, None)),
        ({"image_url": "{files}/square.jpg", "collaborators": '["a","b","c","d"]'}, (100, None)),
        ({}, (100, None)),
    ],
)
def test_what_is_refused(graph: Graph, files: str, form: dict[str, str], told: tuple[int, int | None]) -> None:
    """By the codes of Meta's table."""
    sent = {name: value.replace("{files}", files) for name, value in form.items()}
    assert refusal(graph.post("/me/media", data=sent)) == told


def test_a_story_takes_any_ratio(graph: Graph, files: str) -> None:
    """And has no caption."""
    made = container(graph, image_url=f"{files}/tall.jpg", media_type="STORIES")
    assert publish(graph, made).status_code == 200


def test_quotas(sandbox: Sandbox, graph: Graph, files: str) -> None:
    """Posts count when they are published, containers when they are made; both for a day."""
    sandbox.control("PUT", "/publishing", {"quota_total": 1, "containers_total": 3})
    first, second, _ = (container(graph, image_url=f"{files}/square.jpg") for _ in range(3))
    assert refusal(graph.post("/me/media", data={"image_url": f"{files}/square.jpg"})) == (9, 2207042)
    assert publish(graph, first).status_code == 200 and refusal(publish(graph, second)) == (9, 2207042)
    quota = graph.get("/me/content_publishing_limit", fields="quota_usage,config").json()["data"][0]
    assert quota == {"quota_usage": 1, "config": {"quota_total": 1, "quota_duration": 86_400}}
    sandbox.control("PUT", "/clock", {"offset_s": 86_401})
    assert graph.get("/me/content_publishing_limit").json()["data"] == [{"quota_usage": 0}]


@pytest.mark.parametrize(
    ("fault", "executed"),
    [
        ({"fault": "error-executed", "code": 4, "subcode": 2207051}, True),
        ({"fault": "500-executed"}, True),
        ({"fault": "200-not-executed"}, False),
        ({"fault": "error", "code": 2}, False),
    ],
)
def test_answers_that_lie(sandbox: Sandbox, graph: Graph, files: str, fault: dict[str, Any], executed: bool) -> None:
    """What is said, and what is so: the container tells."""
    made = container(graph, image_url=f"{files}/square.jpg")
    sandbox.control("POST", "/faults", fault | {"match": {"path": "/media_publish$"}})
    answer = publish(graph, made)
    assert (answer.status_code == 200) == (fault["fault"] == "200-not-executed")
    assert status(graph, made) == ("PUBLISHED" if executed else "FINISHED")
    assert len(sandbox.ledger("media_published")) == executed


def test_words_that_lie(sandbox: Sandbox, graph: Graph, files: str) -> None:
    """A caption's magic hits where it is published, not where its container is made."""
    made = container(graph, image_url=f"{files}/square.jpg", caption="Out !!500-executed")
    assert publish(graph, made).status_code == 500 and status(graph, made) == "PUBLISHED"


def test_all_of_it_is_on_disk(own_sandbox: Sandbox, files: str) -> None:
    """After a kill, it is as it was."""
    graph = own_sandbox.login()
    made = container(graph, image_url=f"{files}/square.jpg")
    media_id = publish(graph, made).json()["id"]
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    again = Graph(own_sandbox.http, graph.token)
    assert status(again, made) == "PUBLISHED" and again.get(f"/{media_id}").json()["id"] == media_id


def test_a_pages_post(sandbox: Sandbox, page: Facebook, files: str) -> None:
    """Hidden, then shown, however often that is asked; then deleted."""
    photos = [post(page, f"/{MARKET}/photos", url=f"{files}/square.jpg", published="false")["id"] for _ in range(2)]
    attached = json.dumps([{"media_fbid": one} for one in photos])
    post_id = post(page, f"/{MARKET}/feed", message="News.", published="false", attached_media=attached)["id"]
    assert page.get(f"/{post_id}", fields="is_published").json()["is_published"] is False
    assert not sandbox.ledger("page_item_published")
    for _ in range(2):
        assert post(page, f"/{post_id}", is_published="true") == {"success": True}
    (row,) = sandbox.ledger("page_item_published")
    assert (row["item_id"], row["text"]) == (post_id, "News.")
    assert page.get(f"/{MARKET}/feed", fields="id,message").json()["data"][0]["id"] == post_id
    assert post(page, f"/{post_id}/comments", message="First.")["id"]
    assert page.call("DELETE", f"/{post_id}").json() == {"success": True}
    assert refusal(page.get(f"/{post_id}"))[0] == 100
    assert post(page, f"/{MARKET}/feed", published="false")["error"]["code"] == 100


def test_a_pages_reel_and_stories(sandbox: Sandbox, page: Facebook, files: str) -> None:
    """In phases, by an upload from an address; a photo is shown as a story once."""
    sandbox.control("PUT", "/publishing", {"video_s": 0})
    begun = post(page, f"/{MARKET}/video_reels", upload_phase="start")
    finish = {"upload_phase": "finish", "video_id": begun["video_id"], "video_state": "PUBLISHED", "description": "R"}
    assert post(page, f"/{MARKET}/video_reels", **finish)["error"]["code"] == 1363047
    headers = {"Authorization": f"OAuth {page.token}", "file_url": f"{files}/clip.mp4"}
    address = begun["upload_url"].replace("https://", "/")
    assert sandbox.http.post(address, headers=headers).json() == {"success": True}
    assert post(page, f"/{MARKET}/video_reels", **finish)["post_id"]
    photo = post(page, f"/{MARKET}/photos", url=f"{files}/tall.jpg", published="false")["id"]
    assert post(page, f"/{MARKET}/photo_stories", photo_id=photo)["success"]
    assert post(page, f"/{MARKET}/photo_stories", photo_id=photo)["error"]["code"] == 100
    assert [row["media_id"] for row in page.get(f"/{MARKET}/stories").json()["data"]] == [photo]
    assert len(sandbox.ledger("page_item_published")) == 2
