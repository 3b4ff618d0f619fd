"""Webhooks: signatures, subscriptions, repeats, and what survives a kill."""

import hashlib
import hmac
import json
import signal
import time

from tests.sandbox.sandbox_harness import SECRET, Receiver, Sandbox, eventually, refusal

VECTOR = (
    r'{"object":"instagram","entry":[{"time":1795420800123,"id":"17841400000000001","messaging":[{"sender":{"id":'
    r'"900000000000011"},"recipient":{"id":"17841400000000001"},"timestamp":1795420799900,"message":{"mid":'
    r'"aWdfZAexample01","text":"Caf\u00e9 \ud83c\udfb5 https:\/\/example.test"}}]}]}'
)


def test_the_signature_is_metas(sandbox: Sandbox, receiver: Receiver) -> None:
    answer = sandbox.http.post("/_sandbox/webhook/raw", content=VECTOR)
    assert answer.json() == {"status": 200, "body": ""}
    ((headers, body),) = receiver.posts
    assert body == VECTOR.encode() and len(body) == 286
    assert headers["x-hub-signature-256"] == "sha256=0bd8d96ee49a00ad5972528c27d06b51acd899d18b249f8f44354ab92c71ae74"
    assert headers["x-hub-signature"] == "sha1=ac1c679f7212349f2ca413a8cc585c2336a75e6b"


def test_a_message_is_written_and_signed_as_meta_does(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.login()
    sandbox.write("Café 🎵 https://example.test", at=1795420799900)
    eventually(lambda: receiver.posts)
    headers, body = receiver.posts[0]
    assert rb'"timestamp":1795420799900' in body
    assert rb'"text":"Caf\u00e9 \ud83c\udfb5 https:\/\/example.test"' in body
    assert headers["x-hub-signature-256"] == "sha256=" + hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    assert headers["content-type"] == "application/json"


def test_only_subscribed_fields_are_delivered(sandbox: Sandbox, receiver: Receiver) -> None:
    graph = sandbox.login(subscribe="comments")
    assert sandbox.write()["webhook"] is False
    params = {"subscribed_fields": "messages,message_echoes"}
    unknown = graph.post("/me/subscribed_apps", params=params)
    assert refusal(unknown)[0] == 100
    assert "Param subscribed_fields[1] must be one of {" in unknown.json()["error"]["message"]
    assert graph.get("/me/subscribed_apps").json()["data"][0]["subscribed_fields"] == ["comments"]
    assert graph.call("DELETE", "/me/subscribed_apps").json() == {"success": True}
    assert sandbox.comment()["webhook"] is False
    assert receiver.posts == []


def test_everything_a_fan_does(sandbox: Sandbox, receiver: Receiver) -> None:
    fields = "messages,message_edit,message_reactions,messaging_postbacks,messaging_referral,messaging_seen,standby"
    graph = sandbox.login(subscribe=fields)
    wrote = sandbox.write()
    sent = graph.send(wrote["igsid"]).json()["message_id"]
    who = {"fan": "mara", "account": "nightjar.records"}
    sandbox.write(attachments=[{"type": "image"}], story_reply=True, quick_reply="TOUR")
    sandbox.write(None, story_mention=True)
    sandbox.write("hello?", standby=True)
    sandbox.control("POST", "/fans/edit", {"mid": wrote["mid"], "text": "two"})
    sandbox.control("POST", "/fans/react", {"mid": sent, "emoji": "❤️"})
    sandbox.control("POST", "/fans/react", {"mid": sent, "emoji": None})
    sandbox.control("POST", "/fans/read", {"mid": sent})
    sandbox.control("POST", "/fans/postback", who)
    sandbox.control("POST", "/fans/referral", who)
    sandbox.control("POST", "/fans/unsend", {"mid": wrote["mid"]})
    sandbox.settle()
    items = receiver.items()
    assert [e["standby"][0]["message"]["text"] for e in receiver.entries() if "standby" in e] == ["hello?"]
    assert {key for item in items for key in item} == {
        *("sender", "recipient", "timestamp", "message", "message_edit", "reaction", "read", "postback", "referral")
    }
    edit = next(item["message_edit"] for item in items if "message_edit" in item)
    assert edit == {"mid": wrote["mid"], "text": "two", "num_edit": 1}
    reactions = {item["reaction"]["action"]: item["reaction"] for item in items if "reaction" in item}
    assert reactions["react"] == {"mid": sent, "action": "react", "reaction": "love", "emoji": "❤️"}
    assert reactions["unreact"] == {"mid": sent, "action": "unreact"}
    assert {"mid": wrote["mid"], "is_deleted": True} in [item.get("message") for item in items]
    assert sandbox.control("POST", "/fans/read", {"mid": wrote["mid"]}, 404)["error"]


def test_duplicates_and_rebatching_lose_nothing(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.login()
    sandbox.login("lowtide.tapes")
    sandbox.control("PUT", "/delivery", {"duplicate": 0.3, "reorder": 0.3, "rebatch": [2, 9], "pause": True, "seed": 5})
    order = {"messages": 120, "fans": 40, "seed": 3, "kinds": ["message", "image", "comment"]}
    sandbox.control("POST", "/storm", order)
    eventually(lambda: not sandbox.control("GET", "/storm")["running"])
    assert receiver.posts == []
    plan = {"duplicate": 0.3, "reorder": 0.3, "rebatch": [2, 9], "seed": 5}
    sandbox.control("PUT", "/delivery", plan)
    sandbox.settle()
    keys = [
        item["message"]["mid"] if "message" in item else item["value"]["id"]
        for entry in receiver.entries()
        for item in entry.get("messaging", []) + entry.get("changes", [])
    ]
    assert len(set(keys)) == 120 and len(keys) > 130
    assert len(receiver.posts) < 0.8 * len(keys)
    assert sandbox.control("GET", "/delivery")["delivered"] == 120


def test_dropped_webhooks_are_counted(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.login()
    sandbox.control("PUT", "/delivery", {"drop": 1})
    sandbox.write()
    sandbox.settle()
    assert (sandbox.control("GET", "/delivery")["dropped"], receiver.posts) == (1, [])


def test_a_failing_receiver_is_tried_again(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.login()
    receiver.status = 503
    sandbox.write()
    eventually(lambda: len(receiver.posts) >= 3)
    receiver.status = 200
    sandbox.settle()
    bodies = {json.loads(body)["entry"][0]["messaging"][0]["message"]["mid"] for _, body in receiver.posts}
    status = sandbox.control("GET", "/delivery")
    assert len(bodies) == 1 and (status["delivered"], status["undelivered"]) == (1, 0)
    assert status["failed_attempts"] >= 3 and status["last_problem"] == "HTTP 503"


def test_the_handshake(sandbox: Sandbox) -> None:
    found = sandbox.control("POST", "/handshake")
    assert found["ok"] and found["answered"] == found["challenge"]


def test_callbacks_carry_a_signed_request(sandbox: Sandbox, receiver: Receiver) -> None:
    graph = sandbox.login()
    sandbox.control("POST", "/callback", {"account": "nightjar.records", "kind": "deauthorize"})
    ((headers, body),) = receiver.posts
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body.startswith(b"signed_request=") and body.count(b".") == 1
    assert refusal(graph.get("/me")) == (190, 458)


def test_kill_9_loses_nothing_that_was_answered(own_sandbox: Sandbox, receiver: Receiver) -> None:
    graph = own_sandbox.login()
    own_sandbox.control("PUT", "/delivery", {"pause": True})
    wrote = own_sandbox.write()
    sent = graph.send(wrote["igsid"]).json()["message_id"]
    ledger = own_sandbox.control("GET", "/ledger")["rows"]
    own_sandbox.stop(signal.SIGKILL)
    with (own_sandbox.data / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"seq":99,"kind":"message_se')
    own_sandbox.start()
    graph.http = own_sandbox.http
    assert own_sandbox.control("GET", "/ledger")["rows"] == ledger
    assert graph.send(wrote["igsid"], "again").status_code == 200
    assert receiver.posts == []
    own_sandbox.control("PUT", "/delivery", {})
    own_sandbox.settle()
    assert {item["message"]["mid"] for item in receiver.items()} >= {wrote["mid"], sent}
    own_sandbox.stop(signal.SIGKILL)
    own_sandbox.start()
    assert own_sandbox.control("GET", "/delivery")["undelivered"] == 0
    assert len(own_sandbox.ledger("message_sent")) == 2


def test_it_ends_within_two_seconds_and_guards_its_data(own_sandbox: Sandbox) -> None:
    second = Sandbox(own_sandbox.data, own_sandbox.webhook_url)
    try:
        second.start()
    except AssertionError:
        assert second.process is not None and second.process.returncode == 1
    else:
        raise AssertionError("two sandboxes ran on the same data")
    began = time.monotonic()
    assert own_sandbox.stop() == 0
    assert time.monotonic() - began < 2
