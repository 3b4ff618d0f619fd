"""Sending, reading back, and what is refused."""

import httpx
import pytest

from tests.sandbox.sandbox_harness import Receiver, Sandbox, eventually, refusal

HOUR_S = 3600


def test_a_sent_message_is_in_the_ledger_and_echoed(sandbox: Sandbox, receiver: Receiver) -> None:
    graph = sandbox.login()
    wrote = sandbox.write()
    sent = graph.send(wrote["igsid"], reply_to={"mid": wrote["mid"]}).json()
    assert sent["recipient_id"] == wrote["igsid"]
    (row,) = sandbox.ledger("message_sent")
    assert (row["message_id"], row["text"], row["account_id"]) == (sent["message_id"], "Friday!", wrote["account_id"])
    assert row["body"]["message"] == {"text": "Friday!"} and "access_token" not in row["body"]
    eventually(lambda: len(receiver.items()) == 2)
    (echo,) = [item for item in receiver.items() if item["message"].get("is_echo")]
    assert echo["message"]["mid"] == sent["message_id"] and echo["message"]["reply_to"] == {"mid": wrote["mid"]}
    assert (echo["sender"]["id"], echo["recipient"]["id"]) == (wrote["account_id"], wrote["igsid"])


def test_the_window_closes_after_24_hours_and_for_a_person_after_7_days(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    igsid = sandbox.write()["igsid"]
    human = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    sandbox.control("PUT", "/clock", {"offset_s": 24 * HOUR_S - 60})
    assert graph.send(igsid).status_code == 200
    sandbox.control("PUT", "/clock", {"offset_s": 24 * HOUR_S + 1})
    assert refusal(graph.send(igsid)) == (10, 2534022)
    assert graph.send(igsid, **human).status_code == 200
    sandbox.control("PUT", "/clock", {"offset_s": 7 * 24 * HOUR_S + 1})
    assert refusal(graph.send(igsid, **human)) == (10, 2534022)
    sandbox.control("PUT", "/options", {"human_agent": False})
    assert refusal(graph.send(igsid, **human)) == (10, None)
    assert len(sandbox.ledger("message_sent")) == 2


def test_text_is_measured_in_bytes(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    igsid = sandbox.write()["igsid"]
    assert graph.send(igsid, "é" * 500).status_code == 200
    assert refusal(graph.send(igsid, "é" * 500 + "x"))[0] == 100


def test_recipients_are_known_and_have_written_to_this_account(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    igsid = sandbox.write()["igsid"]
    elsewhere = sandbox.write(account="lowtide.tapes")["igsid"]
    assert elsewhere != igsid
    assert refusal(graph.send(elsewhere)) == (100, 2018001)
    assert refusal(graph.send("123")) == (100, 2018001)
    assert refusal(graph.send("900000000000012")) == (100, 2534014)
    assert refusal(graph.post("/17841400000000002/messages", json={})) == (100, 33)


def test_sending_needs_its_scope(sandbox: Sandbox) -> None:
    graph = sandbox.login(scope="instagram_business_basic")
    answer = graph.send(sandbox.write()["igsid"])
    assert (answer.status_code, refusal(answer)) == (403, (10, None))


def test_attachments_and_sender_actions(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    wrote = sandbox.write()
    to = {"recipient": {"id": wrote["igsid"]}}
    image = {"type": "image", "payload": {"url": "https://cdn.example.test/a.jpg"}}
    assert graph.post("/me/messages", json=to | {"message": {"attachment": image}}).status_code == 200
    assert graph.post("/me/messages", json=to | {"message": {"attachments": [image] * 10}}).status_code == 200
    assert refusal(graph.post("/me/messages", json=to | {"message": {"attachments": [image] * 11}}))[0] == 100
    assert graph.post("/me/messages", json=to | {"sender_action": "mark_seen"}).json() == {
        "recipient_id": wrote["igsid"]
    }
    mixed = to | {"sender_action": "typing_on", "message": {"text": "x"}}
    assert refusal(graph.post("/me/messages", json=mixed))[0] == 100
    react = to | {"sender_action": "react", "payload": {"message_id": wrote["mid"], "reaction": "love"}}
    assert graph.post("/me/messages", json=react).status_code == 200
    assert [row["mid"] for row in sandbox.ledger("reaction_sent")] == [wrote["mid"]]


def test_one_private_reply_a_comment(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    made = sandbox.comment()
    body = {"recipient": {"comment_id": made["comment_id"]}, "message": {"text": "Check your mail"}}
    sent = graph.post("/me/messages", json=body).json()
    assert sent["recipient_id"] == made["igsid"]
    assert refusal(graph.post("/me/messages", json=body)) == (100, 2534025)
    assert refusal(graph.send(made["igsid"])) == (10, 2534022)
    late = sandbox.comment()
    sandbox.control("PUT", "/clock", {"offset_s": 7 * 24 * HOUR_S + 60})
    body["recipient"] = {"comment_id": late["comment_id"]}
    assert refusal(graph.post("/me/messages", json=body)) == (100, 2534025)


def test_lost_executes_once_and_answers_nothing(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    igsid = sandbox.write()["igsid"]
    with pytest.raises(httpx.RemoteProtocolError):
        graph.send(igsid, "Hello !!lost")
    assert [row["text"] for row in sandbox.ledger("message_sent")] == ["Hello !!lost"]


def test_magic_values(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    igsid = sandbox.write()["igsid"]
    limited = graph.send(igsid, "!!error:613/2534040")
    assert (limited.status_code, refusal(limited)) == (403, (613, 2534040))
    assert graph.send(igsid, "!!http:503").status_code == 503
    assert "<html>" in graph.send(igsid, "!!html").text
    assert graph.send(igsid, "!!empty").content == b""
    assert sandbox.ledger("message_sent") == []
    executed = graph.send(igsid, "!!500-executed")
    assert (executed.status_code, refusal(executed)) == (500, (2, None))
    assert graph.send(igsid, "!!slow:0.1").elapsed.total_seconds() >= 0.1
    assert len(sandbox.ledger("message_sent")) == 2


def test_queued_faults_hit_what_they_match_and_run_out(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    order = {"match": {"path": "/me$", "method": "GET", "account": "nightjar.records"}, "fault": "error", "code": 4}
    sandbox.control("POST", "/faults", order | {"times": 2})
    assert graph.get("/me/subscribed_apps").status_code == 200
    assert [graph.get("/me").status_code for _ in range(3)] == [403, 403, 200]
    bad = sandbox.control("POST", "/faults", {"match": {"path": "("}, "fault": "error"}, 422)
    assert "not a regular expression" in bad["error"]
    sandbox.control("POST", "/faults", {"fault": "html", "times": None})
    assert graph.get("/me").status_code == graph.get("/me").status_code == 502
    assert sandbox.control("DELETE", "/faults") == {"faults": []}
    sandbox.control("POST", "/faults", {"match": {"path": "api.instagram.com"}, "fault": "error", "code": 2})
    assert sandbox.exchange(sandbox.code()).json()["error_type"] == "OAuthException"


def test_usage_headers_go_out_as_ordered(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    sandbox.control("PUT", "/usage", {"app": {"call_count": 96}, "business": "{broken"})
    headers = graph.get("/me").headers
    assert headers["x-app-usage"] == '{"call_count": 96}' and headers["x-business-use-case-usage"] == "{broken"


def test_conversations_show_details_of_the_20_newest(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    mids = [sandbox.write(f"n{n}")["mid"] for n in range(22)]
    wrote = sandbox.write("last")
    (found,) = graph.get("/me/conversations", platform="instagram", user_id=wrote["igsid"]).json()["data"]
    assert found["id"] == wrote["conversation_id"]
    shown = graph.get(f"/{found['id']}", fields="messages.limit(50){id,message,from,created_time}").json()["messages"][
        "data"
    ]
    assert len(shown) == 23 and shown[0]["message"] == "last" and "message" in shown[19]
    assert set(shown[20]) == {"id", "created_time"}
    assert graph.get(f"/{wrote['mid']}", fields="message").json()["message"] == "last"
    assert refusal(graph.get(f"/{mids[0]}", fields="message")) == (100, 9000001)
    sandbox.control("POST", "/fans/unsend", {"mid": wrote["mid"]})
    assert refusal(graph.get(f"/{wrote['mid']}")) == (100, 9000001)


def test_a_profile_needs_consent(sandbox: Sandbox) -> None:
    graph = sandbox.login()
    commented = sandbox.comment()["igsid"]
    assert refusal(graph.get(f"/{commented}", fields="name,username")) == (230, None)
    wrote = sandbox.write()["igsid"]
    assert graph.get(f"/{wrote}", fields="name,username").json() == {
        "id": wrote,
        "name": "Mara",
        "username": "mara.listens",
    }
    assert refusal(graph.get(f"/{wrote}", fields="shoe_size"))[0] == 100
    assert refusal(graph.get("/900000001000011")) == (100, 33)
