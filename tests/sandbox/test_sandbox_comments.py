"""Comments on media: paging, answers, hiding, deleting."""

from urllib.parse import parse_qs, urlsplit

from tests.sandbox.sandbox_harness import Receiver, Sandbox, eventually, refusal

MEDIA = "18000000000000001"


def test_paging_ends_with_no_next_and_embeds_the_token(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    made = [sandbox.comment(text=f"c{n}")["comment_id"] for n in range(7)]
    answer = graph.get(f"/{MEDIA}/comments", limit="3", fields="id,text,from,username").json()
    assert answer["data"][0] == {
        "id": made[6],
        "text": "c6",
        "from": {"id": "900000000000012", "username": "jonas.listens"},
        "username": "jonas.listens",
    }
    seen = [one["id"] for one in answer["data"]]
    while "next" in answer["paging"]:
        assert parse_qs(urlsplit(answer["paging"]["next"]).query)["access_token"] == [graph.token]
        answer = sandbox.http.get(answer["paging"]["next"]).json()
        seen += [one["id"] for one in answer["data"]]
    assert seen == made[::-1]
    by_cursor = graph.get(f"/{MEDIA}/comments", limit="3", before=answer["paging"]["cursors"]["before"]).json()
    assert [one["id"] for one in by_cursor["data"]] == made[3:0:-1]


def test_a_page_has_at_most_50(sandbox: Sandbox) -> None:
    graph = sandbox.login(subscribe="messages")
    for _ in range(51):
        sandbox.comment()
    assert len(graph.get(f"/{MEDIA}/comments", limit="500").json()["data"]) == 50


def test_a_comment_comes_as_a_change_and_so_does_our_answer(sandbox: Sandbox, receiver: Receiver) -> None:
    graph = sandbox.login()
    made = sandbox.comment()
    reply = graph.post(f"/{made['comment_id']}/replies", params={"message": "Thanks!"}).json()["id"]
    eventually(lambda: len(receiver.entries()) == 2)
    changes = {e["changes"][0]["value"]["id"]: e["changes"][0] for e in receiver.entries()}
    theirs, ours = changes[made["comment_id"]], changes[reply]
    assert theirs["field"] == "comments" and theirs["value"]["media"] == {"id": MEDIA, "media_product_type": "FEED"}
    assert ours["value"]["from"]["id"] == "17841400000000001" and ours["value"]["from"]["self_ig_scoped_id"]
    assert ours["value"]["parent_id"] == made["comment_id"]
    deeper = graph.post(f"/{reply}/replies", json={"message": "And more"}).json()["id"]
    assert graph.get(f"/{deeper}", fields="parent_id").json()["parent_id"] == made["comment_id"]
    replies = graph.get(f"/{made['comment_id']}", fields="text,replies{text}").json()["replies"]["data"]
    assert [one["text"] for one in replies] == ["Thanks!", "And more"]


def test_the_flat_shape_of_changes(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.login()
    sandbox.control("PUT", "/delivery", {"shape": "flat"})
    sandbox.comment()
    eventually(receiver.entries)
    assert receiver.entries()[0]["field"] == "comments" and receiver.entries()[0]["value"]["text"] == "Love it"


def test_hiding_and_deleting(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    made = sandbox.comment()["comment_id"]
    assert graph.post(f"/{made}", params={"hide": "true"}).json() == {"success": True}
    assert graph.get(f"/{made}", fields="hidden").json()["hidden"] is True
    assert refusal(graph.post(f"/{made}/replies", params={"message": "?"}))[0] == 100
    assert graph.post(f"/{made}", params={"hide": "false"}).json() == {"success": True}
    assert graph.call("DELETE", f"/{made}").json() == {"success": True}
    assert refusal(graph.call("DELETE", f"/{made}")) == (100, 33)
    kinds = [row["kind"] for row in sandbox.control("GET", "/ledger")["rows"]]
    assert kinds[-3:] == ["comment_hidden", "comment_unhidden", "comment_deleted"]


def test_comments_of_others_are_not_there(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    foreign = sandbox.comment(account="lowtide.tapes")
    assert refusal(graph.call("DELETE", f"/{foreign['comment_id']}")) == (100, 33)
    assert refusal(graph.get(f"/{foreign['media_id']}/comments")) == (100, 33)


def test_comments_can_be_switched_off(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    assert graph.post(f"/{MEDIA}", params={"comment_enabled": "false"}).json() == {"success": True}
    assert graph.get(f"/{MEDIA}", fields="is_comment_enabled").json()["is_comment_enabled"] is False
    order = {"fan": "mara", "account": "nightjar.records", "media": MEDIA, "text": "x"}
    assert "turned off" in sandbox.control("POST", "/fans/comment", order, 409)["error"]


def test_edits_and_restrictions_are_told_to_nobody(sandbox: Sandbox, receiver: Receiver) -> None:
    """A restricted fan's comment is in no list, and can still be read by its id."""
    graph = sandbox.login()
    first, other = sandbox.comment()["comment_id"], sandbox.comment(fan="mara")["comment_id"]
    sandbox.control("POST", f"/fans/comment/{first}/edit", {"text": "Edited"})
    sandbox.control("PUT", "/fans/restrict", {"fan": "mara", "account": "nightjar.records"})
    assert [one["text"] for one in graph.get(f"/{MEDIA}/comments", fields="text").json()["data"]] == ["Edited"]
    assert graph.get(f"/{other}", fields="text").json()["text"] == "Love it"
    sandbox.settle()
    assert len(receiver.entries()) == 2


def test_a_mention_is_read_through_the_account(sandbox: Sandbox) -> None:
    """Its comment cannot be read by its own id; it is answered by an edge of the account's."""
    graph = sandbox.login()
    order = {"fan": "mara", "account": "nightjar.records", "text": "hear @nightjar.records"}
    made = sandbox.control("POST", "/fans/mention", order)
    assert refusal(graph.get(f"/{made['comment_id']}", fields="text"))[0] == 100
    field = f"mentioned_comment.comment_id({made['comment_id']}){{id,text,timestamp,media{{id}}}}"
    shown = graph.get("/me", fields=field).json()["mentioned_comment"]
    assert (shown["text"], shown["media"]["id"]) == (order["text"], made["media_id"])
    ids = {"media_id": made["media_id"], "comment_id": made["comment_id"], "message": "Hello"}
    assert graph.post("/me/mentions", params=ids).json()["id"]
    assert [row["text"] for row in sandbox.ledger("mention_answered")] == ["Hello"]
