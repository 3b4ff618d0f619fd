"""What can be sent where, which addresses Meta may be given, and what each of its refusals means to us."""

import pytest
from pydantic import ValidationError

from app.clients.graph_errors import Refused, error_of
from app.errors import InvalidInput
from app.models.messages import MessageCreate
from app.models.public_address import public_https
from app.services.inbox.outgoing import OWN_POST, Attachment, Outgoing, QuickReply, body_of, may_be
from app.services.inbox.refusals import BLOCKED, REFUSALS, refusal_of

URL = "https://cdn.example.test/sleeve.jpg"


@pytest.mark.parametrize(
    "url",
    [URL, "https://cdn.example.test:8443/a?b=c#d", "https://münchen.example/ä.png", "https://93.184.216.34/a.jpg"],
)
def test_public_addresses(url: str) -> None:
    assert public_https(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example.test/a.jpg",
        "ftp://cdn.example.test/a.jpg",
        "//cdn.example.test/a.jpg",
        "https:///a.jpg",
        "https://user:pass@cdn.example.test/a.jpg",
        "https://@cdn.example.test/a.jpg",
        "https://localhost/a.jpg",
        "https://printer/a.jpg",
        "https://printer.local/a.jpg",
        "https://db.internal./a.jpg",
        "https://127.0.0.1/a.jpg",
        "https://10.1.2.3/a.jpg",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a.jpg",
        "https://[fd00::1]/a.jpg",
        "https://[::ffff:127.0.0.1]/a.jpg",
        "https://2130706433/a.jpg",
        "https://0x7f.0.0.0x1/a.jpg",
        "https://127.1/a.jpg",
        "https://cdn.example.test:99999/a.jpg",
        "https://cdn.example.test\\@127.0.0.1/a.jpg",
        "https://cdn.example.test/a b.jpg",
        "https://cdn.example.test/a\n.jpg",
        "https://-bad.example/a.jpg",
        "https://[half/a.jpg",
        "",
    ],
)
def test_addresses_that_are_none_for_meta(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        public_https(url)


@pytest.mark.parametrize(
    ("network", "text", "fits"),
    [
        ("instagram", "é" * 500, True),
        ("instagram", "é" * 500 + "x", False),
        ("instagram", "😀" * 250, True),
        ("instagram", "😀" * 250 + "x", False),
        ("facebook", "é" * 2000, True),
        ("facebook", "é" * 2001, False),
    ],
)
def test_texts_are_as_long_as_meta_counts(network: str, text: str, fits: bool) -> None:
    """Bytes on Instagram, characters on Messenger."""
    if fits:
        Outgoing(text=text).check(network)
    else:
        with pytest.raises(InvalidInput) as told:
            Outgoing(text=text).check(network)
        assert told.value.errors[0].pointer == "/text"


def test_what_messenger_does_not_take() -> None:
    for content, pointer in ((Outgoing(media_id="1"), "/media_id"), (Outgoing(sticker="like_heart"), "/sticker")):
        content.check("instagram")
        with pytest.raises(InvalidInput) as told:
            content.check("facebook")
        assert told.value.errors[0].pointer == pointer


GOOD = [
    {"text": "Hi"},
    {"attachment": {"type": "image", "url": URL}},
    {"asset_id": "ast_1"},
    {"media_id": "18000000000000001"},
    {"sticker": "like_heart"},
    {
        "text": "Which?",
        "quick_replies": [{"title": "x" * 20, "payload": "P"}] * 13,
        "reply_to": "mid",
        "human_agent": True,
    },
]
BAD = [
    {},
    {"text": " "},
    {"text": "Hi", "sticker": "like_heart"},
    {"text": "Hi", "attachment": {"type": "image", "url": URL}},
    {"media_id": "1", "asset_id": "ast_1"},
    {"sticker": "like_heart", "quick_replies": [{"title": "Yes", "payload": "Y"}]},
    {"text": "Hi", "quick_replies": [{"title": "x" * 21, "payload": "P"}]},
    {"text": "Hi", "quick_replies": [{"title": "Yes", "payload": ""}]},
    {"text": "Hi", "quick_replies": [{"title": "Yes", "payload": "P"}] * 14},
    {"attachment": {"type": "sticker", "url": URL}},
    {"attachment": {"type": "image", "url": "https://10.0.0.1/a.jpg"}},
    {"media_id": "../me"},
]


@pytest.mark.parametrize("body", GOOD)
def test_exactly_one_content(body: dict[str, object]) -> None:
    assert MessageCreate.model_validate(body).model_dump(exclude_unset=True) == body


@pytest.mark.parametrize("body", BAD)
def test_more_or_less_than_one_content(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MessageCreate.model_validate(body)


BODIES = [
    (Outgoing(text="Hi"), {"text": "Hi"}),
    (Outgoing(attachment=Attachment("video", URL)), {"attachment": {"type": "video", "payload": {"url": URL}}}),
    (Outgoing(media_id="18"), {"attachment": {"type": "MEDIA_SHARE", "payload": {"id": "18"}}}),
    (Outgoing(sticker="like_heart"), {"attachment": {"type": "like_heart"}}),
    (
        Outgoing(text="Which?", quick_replies=(QuickReply("Tour", "T"),), reply_to="mid"),
        {"text": "Which?", "quick_replies": [{"content_type": "text", "title": "Tour", "payload": "T"}]},
    ),
]


@pytest.mark.parametrize(("content", "body"), BODIES)
def test_the_body_that_meta_wants(content: Outgoing, body: dict[str, object]) -> None:
    assert body_of(content.stored()["original"]) == body


def test_what_an_echo_may_be() -> None:
    """Of an attachment only its kind comes back, of an own post under another name."""
    image, post = Outgoing(attachment=Attachment("image", URL)), Outgoing(media_id="18")
    assert may_be(image.stored()["original"], None, ["image"]) and may_be(image.stored()["original"], "", ["image"])
    assert not any(may_be(image.stored()["original"], text, kinds) for text, kinds in (("Hi", ["image"]), (None, [])))
    assert not may_be(image.stored()["original"], None, ["video"])
    assert all(may_be(post.stored()["original"], None, [kind]) for kind in (OWN_POST, "ig_post", "share"))
    heart = Outgoing(sticker="like_heart").stored()["original"]
    assert may_be(heart, None, []) and may_be(heart, None, ["like_heart"]) and not may_be(heart, "Hi", [])
    text = Outgoing(text="Hi").stored()["original"]
    assert may_be(text, "Hi", []) and not may_be(text, "Hi!", []) and not may_be(text, None, ["image"])


MEANT = {
    (10, 2534022): "reply_window_closed",
    (10, 2018278): "reply_window_closed",
    (10, 2018065): "reply_window_closed",
    (10, 2018108): "recipient_unavailable",
    (551, 1545041): "recipient_unavailable",
    (200, 1545041): "recipient_unavailable",
    (100, 2018001): "recipient_unavailable",
    (100, 2534014): "recipient_unavailable",
    (100, 33): "recipient_unavailable",
    (100, 2534037): "not_thread_owner",
    (100, 2534001): "conversation_unavailable",
    (100, 2534068): "refused_by_provider",
    (100, 2018047): "attachment_refused",
    (100, 9000001): "message_unavailable",
    (9000001, 0): "message_unavailable",
    (10, 1893063): "sending_paused",
    (10, 0): "permission_lost",
    (200, 0): "permission_lost",
    (368, 0): "action_blocked",
    (4, 2207051): "action_blocked",
    (100, 0): "refused_by_provider",
    (99999, 0): "refused_by_provider",
}


@pytest.mark.parametrize("code", MEANT)
def test_each_refusal_has_a_code(code: tuple[int, int]) -> None:
    """The table of meta-platform.md, section 3.8, for a text; of an own post a wrong call says that it is none."""
    error = error_of({"error": {"code": code[0], "error_subcode": code[1]}}, 400, repeatable=False)
    assert isinstance(error, Refused)
    found, sentence = refusal_of(error, {"text": "Hi"})
    assert found == MEANT[code] and sentence.endswith(".")
    shared = refusal_of(error, Outgoing(media_id="18").stored()["original"])[0]
    about_media = code in ((100, 0), (100, 33), (100, 2018047), (100, 2534068))
    assert shared == ("media_refused" if about_media else found)


def test_every_reason_of_our_own_has_a_code() -> None:
    codes = {code for code, _ in REFUSALS.values()}
    assert {code for code, _ in BLOCKED.values()} <= codes
