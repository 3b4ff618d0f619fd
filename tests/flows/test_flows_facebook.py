"""Connecting Pages and the Instagram accounts behind them at the sandbox: logging in, choosing, and what fans send."""

from datetime import timedelta

import pytest

from tests.flows.facebook_harness import (
    ALL,
    KIM,
    LOW_TIDE,
    LOW_TIDE_IG,
    MARKET,
    NIGHTJAR,
    NIGHTJAR_IG,
    OLD_MILL,
    OLD_MILL_IG,
    ROBIN,
    begin,
    decide,
    log_in,
    log_in_again,
)
from tests.flows.flows_harness import Meta, pass_by
from tests.house import House, delivery, message_change


async def test_the_log_in_leads_to_a_choice(live_house: House, meta: Meta) -> None:
    """Every Page and every account behind one is listed, the person's token is sealed, and an event tells of it."""
    login = await log_in(live_house)
    shown = await login.shown()
    assert (shown["status"], shown["step"], shown["account"]) == ("pending", "choose_accounts", None)
    assert shown["missing_scopes"] == [] and set(shown["asked_scopes"]) <= set(shown["granted_scopes"])
    choices = await login.choices()
    assert list(choices) == [NIGHTJAR, LOW_TIDE, MARKET, NIGHTJAR_IG, LOW_TIDE_IG]
    page, account = choices[NIGHTJAR], choices[NIGHTJAR_IG]
    assert (page["kind"], page["name"], page["username"]) == ("page", "Nightjar Records", None)
    assert (account["kind"], account["username"]) == ("instagram", "nightjar.records")
    assert all(one["usable_features"] == ALL and one["missing"] == [] for one in choices.values())
    assert await login.secrets() == {(login.connection_id, "user_token")}
    [stored] = await login.stored("connections")
    assert stored["person_ids"] == [ROBIN]
    assert timedelta(days=89) < stored["access_ends_at"] - live_house.clock() < timedelta(days=91)
    told = [one["key"] for one in await login.stored("events") if one["type"] == "connection.changed"]
    assert told == [f"connection:{login.connection_id}:choose_accounts"]
    issued = (await meta.control("GET", "/tokens"))["ever_issued"]
    everything = str([await login.stored(name) for name in ("connections", "secrets", "operations", "events")])
    assert len(issued) >= 3 and not any(token in everything for token in issued)


async def test_a_page_is_connected(live_house: House, meta: Meta) -> None:
    """The pending connection is the Page's: its token is sealed, it has no end, and its webhooks are on."""
    login = await log_in(live_house)
    results = await login.connect(NIGHTJAR)
    expected = {"provider_id": NIGHTJAR, "connection_id": login.connection_id, "problem": None, "verified": ALL}
    assert results == {NIGHTJAR: expected | {"dropped_features": []}}
    shown = await login.shown()
    assert (shown["status"], shown["step"], shown["active_features"]) == ("active", None, ALL)
    assert (shown["account"]["kind"], shown["token_expires_at"]) == ("page", None)
    assert await login.secrets() == {(login.connection_id, name) for name in ("user_token", "access_token")}
    [stored] = await login.stored("connections")
    assert (stored["subscription_id"], stored["account_ids"], stored["person_ids"]) == (NIGHTJAR, [NIGHTJAR], [ROBIN])
    assert stored["refresh_at"] - stored["token_issued_at"] == timedelta(days=30)
    assert "abandon_at" not in stored and not stored.get("choices")
    assert {"messages", "feed", "mention"} <= set(stored["subscribed_fields"])
    assert (await login.choices(), (await login.choose(LOW_TIDE)).status_code) == ({}, 409)


async def test_several_accounts_of_one_log_in(live_house: House, meta: Meta) -> None:
    """Each has a connection of its own, with copies of the tokens; one more Page later is a log-in of its own."""
    login = await log_in(live_house)
    results = await login.connect(NIGHTJAR_IG, NIGHTJAR, {"provider_id": LOW_TIDE, "features": ["insights"]})
    connections = await login.connections()
    assert {one: row["connection_id"] for one, row in results.items()} == {
        one: row["id"] for one, row in connections.items()
    }
    assert results[NIGHTJAR_IG]["connection_id"] == login.connection_id
    assert (connections[LOW_TIDE]["features"], connections[LOW_TIDE]["active_features"]) == (["insights"], ["insights"])
    purposes = ("user_token", "access_token")
    assert await login.secrets() == {(one["id"], name) for one in connections.values() for name in purposes}
    subscribed = {row["account_id"]: row["fields"] for row in await meta.ledger("subscription_changed")}
    assert set(subscribed) == {NIGHTJAR} and "messages" in subscribed[NIGHTJAR]
    again = await log_in_again(live_house, login.owner, login.label_id)
    choices = await again.choices()
    assert choices[NIGHTJAR]["connected_as"] == connections[NIGHTJAR]["id"]
    assert choices[MARKET]["connected_as"] is None
    results = await again.connect(NIGHTJAR, MARKET)
    assert (results[NIGHTJAR]["problem"], results[NIGHTJAR]["connection_id"]) == (
        "account_already_connected",
        connections[NIGHTJAR]["id"],
    )
    assert results[MARKET]["connection_id"] == again.connection_id


async def test_scopes_partly_granted(live_house: House, meta: Meta) -> None:
    """Without the scopes of messages and of Instagram: no accounts behind Pages, and messages are left out."""
    granted = "pages_show_list,pages_read_engagement,pages_manage_metadata,pages_read_user_content"
    login = await log_in(live_house, boxes="1", scope=f"{granted},pages_manage_engagement,read_insights")
    choices = await login.choices()
    assert set(choices) == {NIGHTJAR, LOW_TIDE, MARKET}
    assert choices[NIGHTJAR]["usable_features"] == ["comments", "insights"]
    assert choices[NIGHTJAR]["missing"] == [
        {"feature": "messages", "scopes": ["pages_messaging"], "tasks": []},
        {"feature": "publishing", "scopes": ["pages_manage_posts"], "tasks": []},
    ]
    results = await login.connect(NIGHTJAR)
    dropped = [{"feature": name, "reason": "scope_missing"} for name in ("messages", "publishing")]
    assert (results[NIGHTJAR]["verified"], results[NIGHTJAR]["dropped_features"]) == (["comments", "insights"], dropped)
    [stored] = await login.stored("connections")
    assert (stored["active_features"], stored["subscribed_fields"]) == (["comments", "insights"], ["feed", "mention"])


async def test_the_list_itself_is_declined(live_house: House, meta: Meta) -> None:
    """Nothing can be chosen, and the connection says which scope is missing."""
    login = await log_in(live_house, boxes="1", scope="instagram_basic")
    shown = await login.shown()
    assert (shown["step"], await login.choices()) == ("choose_accounts", {})
    assert "pages_show_list" in shown["missing_scopes"]


async def test_tasks_on_the_page(live_house: House, meta: Meta) -> None:
    """Who may only look at figures sees why the rest cannot be used, and can connect the figures."""
    login = await log_in(live_house, "kim")
    [page, account] = (await login.choices()).values()
    assert page["usable_features"] == account["usable_features"] == ["insights"]
    lacking = {one["feature"]: (one["scopes"], one["tasks"]) for one in page["missing"]}
    assert lacking == {
        "comments": ([], ["MODERATE"]),
        "messages": ([], ["MESSAGING", "MODERATE"]),
        "publishing": ([], ["CREATE_CONTENT"]),
    }
    results = await login.connect(OLD_MILL_IG, OLD_MILL)
    reasons = {(one["feature"], one["reason"]) for row in results.values() for one in row["dropped_features"]}
    assert reasons == {(name, "task_missing") for name in ("comments", "messages", "publishing")}
    assert [row["verified"] for row in results.values()] == [["insights"], ["insights"]]
    assert {one["active_account_id"] for one in await login.stored("connections")} == {OLD_MILL, OLD_MILL_IG}
    assert {tuple(one["person_ids"]) for one in await login.stored("connections")} == {(KIM,)}


@pytest.mark.parametrize(
    ("path", "code", "feature", "account"),
    [
        (f"{NIGHTJAR}/conversations", 10, "messages", NIGHTJAR_IG),
        (f"{NIGHTJAR}/conversations", 200, "messages", NIGHTJAR),
        ("/comments", 10, "comments", NIGHTJAR_IG),
        (f"{NIGHTJAR}/feed", 10, "comments", NIGHTJAR),
        ("/content_publishing_limit", 10, "publishing", NIGHTJAR_IG),
        (f"{NIGHTJAR}/insights", 200, "insights", NIGHTJAR),
    ],
)
async def test_what_fails_its_trial_is_left_out(
    live_house: House, meta: Meta, path: str, code: int, feature: str, account: str
) -> None:
    """Meta refuses the very call that a feature needs: the account is connected without it, and the reason is told."""
    login = await log_in(live_house)
    await meta.fault("error", path, code=code)
    results = await login.connect(account)
    assert results[account]["dropped_features"] == [{"feature": feature, "reason": "permission_lost"}]
    assert results[account]["verified"] == [name for name in ALL if name != feature]
    assert (await login.shown())["active_features"] == [name for name in ALL if name != feature]


async def test_a_withdrawn_metric_is_no_failure(live_house: House, meta: Meta) -> None:
    """An error about the metric says nothing about the right to read figures."""
    login = await log_in(live_house)
    await meta.fault("error", "/insights", code=100, times=2)
    results = await login.connect(NIGHTJAR, NIGHTJAR_IG)
    assert [row["verified"] for row in results.values()] == [ALL, ALL]


async def test_nothing_works_then_something_else_is_chosen(live_house: House, meta: Meta) -> None:
    """An account of which nothing can be used is not connected; the log-in waits, and another can be chosen."""
    login = await log_in(live_house, features=["insights"])
    await meta.fault("error", "/insights", code=10)
    results = await login.connect(NIGHTJAR)
    assert (results[NIGHTJAR]["problem"], results[NIGHTJAR]["connection_id"]) == ("nothing_usable", None)
    assert (await login.shown())["step"] == "choose_accounts"
    assert await login.secrets() == {(login.connection_id, "user_token")}
    assert (await login.connect(NIGHTJAR_IG))[NIGHTJAR_IG]["connection_id"] == login.connection_id
    assert (await login.shown())["status"] == "active"


async def test_a_page_that_is_gone_does_not_cost_the_others(live_house: House, meta: Meta) -> None:
    """The first chosen Page cannot be read: the second takes the connection."""
    login = await log_in(live_house)
    await meta.fault("error", f"/{NIGHTJAR}$", code=100, subcode=33)
    results = await login.connect(NIGHTJAR, MARKET)
    assert (results[NIGHTJAR]["problem"], results[MARKET]["connection_id"]) == ("not_found", login.connection_id)


@pytest.mark.parametrize(
    ("accounts", "pointer"),
    [
        ([{"provider_id": OLD_MILL}], "/accounts/0/provider_id"),
        ([{"provider_id": NIGHTJAR}, {"provider_id": NIGHTJAR}], "/accounts/1/provider_id"),
        ([{"provider_id": NIGHTJAR, "features": ["publishing"]}], "/accounts/0/features"),
        ([], "/accounts"),
        ([{"provider_id": str(number)} for number in range(21)], "/accounts"),
    ],
)
async def test_what_cannot_be_chosen(live_house: House, meta: Meta, accounts: list[object], pointer: str) -> None:
    """Another person's Page, the same twice, a feature that was not asked for, none or too many: nothing is begun."""
    login = await log_in(live_house, features=["messages"])
    path = f"/v1/labels/{login.label_id}/connections/{login.connection_id}/accounts"
    answer = await login.owner.post(path, json={"accounts": accounts})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert [one["kind"] for one in await login.stored("operations") if one["kind"] != "send_mail"] == ["exchange_code"]


async def test_it_is_chosen_once(live_house: House, meta: Meta) -> None:
    """Two choices at once: the second is refused while a worker is busy with the first."""
    login = await log_in(live_house)
    assert (await login.choose(NIGHTJAR)).status_code == 202
    refused = await login.choose(MARKET)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    await live_house.work()
    assert set(await login.connections()) == {NIGHTJAR}


async def test_somebody_elses_pending_connection(live_house: House, meta: Meta) -> None:
    """Another label learns nothing of it, and can choose nothing in it."""
    login = await log_in(live_house)
    stranger = await live_house.person("stranger@example.com")
    other = await live_house.label(stranger, "low-tide")
    for label_id in (login.label_id, other):
        path = f"/v1/labels/{label_id}/connections/{login.connection_id}/accounts"
        assert (await stranger.get(path)).status_code == 404
        chosen = await stranger.post(path, json={"accounts": [{"provider_id": NIGHTJAR}]})
        assert chosen.status_code == 404


async def test_the_same_page_in_a_second_label(live_house: House, meta: Meta) -> None:
    """It sees nothing that the first has, receives from now on, and does not take the first's webhooks away."""
    first = await log_in(live_house, features=["messages"])
    await first.connect(NIGHTJAR_IG)
    await first.receive(message_change("before", ms=live_house.ms()))
    owner = await live_house.person("second@example.com")
    second = await log_in_again(live_house, owner, await live_house.label(owner, "second"), features=["comments"])
    assert (await second.choices())[NIGHTJAR_IG]["connected_as"] is None
    await second.connect(NIGHTJAR, {"provider_id": NIGHTJAR_IG, "features": ["comments"]})
    assert await second.conversations() == [] == await second.all("/comments")
    await first.receive(message_change("after", ms=live_house.ms()))
    assert {one["provider_id"] for one in await first.messages()} == {"before", "after"}
    assert await second.conversations() == []
    value = {"id": "1", "from": {"id": "900000000000011"}, "text": "Nice", "media": {"id": "1"}}
    entry = {"id": NIGHTJAR_IG, "time": live_house.ms(), "field": "comments", "value": value}
    assert (await live_house.deliver({"object": "instagram", "entry": [entry]})).status_code == 200
    await live_house.work()
    assert (len(await first.all("/comments")), len(await second.all("/comments"))) == (0, 1)


@pytest.mark.parametrize("fault", [None, "lost"])
async def test_answering_through_a_page(live_house: House, meta: Meta, fault: str | None) -> None:
    """A fan of the account behind a Page gets the answer once, by the Page's token, also when Meta's answer is lost."""
    login = await log_in(live_house, features=["messages"])
    await login.connect(NIGHTJAR_IG)
    written = await live_house.fan_writes("mara", "When?")
    conversation = await login.conversation(written["igsid"])
    if fault:
        await meta.fault(fault, "/messages")
    path = f"/v1/labels/{login.label_id}/conversations/{conversation['id']}/messages"
    assert (await login.owner.post(path, json={"text": "On Friday."})).status_code == 202
    await live_house.work()
    pass_by(live_house, timedelta(seconds=6))
    await live_house.work()
    assert await meta.texts_sent() == ["On Friday."]
    assert {one["state"] for one in await login.messages(written["igsid"]) if one["direction"] == "out"} == {"sent"}
    assert (await login.shown())["status"] == "active"


async def test_two_people_who_granted_different_things(live_house: House, meta: Meta) -> None:
    """The second, without the scope of messages, switches comments on and does not switch the first's messages off."""
    first = await log_in(live_house, "sasha", features=["messages"])
    await first.connect(LOW_TIDE)
    owner = await live_house.person("second@example.com")
    second = await log_in_again(live_house, owner, await live_house.label(owner, "second"), features=["comments"])
    results = await second.connect(LOW_TIDE)
    assert results[LOW_TIDE]["verified"] == ["comments"]
    rows = [row for row in await meta.ledger("subscription_changed") if row["account_id"] == LOW_TIDE]
    assert {"messages", "feed", "mention"} <= set(rows[-1]["fields"])


async def test_changes_of_a_page(live_house: House, meta: Meta) -> None:
    """Of a feature that is off they are dropped; of one that is on they are kept until somebody understands them."""
    login = await log_in(live_house, features=["comments"])
    await login.connect(MARKET)
    ms = live_house.ms()
    talk = delivery(message_change("m", ms=ms, account=MARKET), account=MARKET) | {"object": "page"}
    feed = {"id": MARKET, "time": ms // 1000, "changes": [{"field": "feed", "value": {"item": "comment"}}]}
    for body in (talk, {"object": "page", "entry": [feed]}):
        assert (await live_house.deliver(body)).status_code == 200
    await live_house.work()
    assert [one["channel"] for one in await login.stored("parked_changes")] == ["feed"]
    assert {one["outcome"] for one in await login.stored("webhook_inbox")} == {"feature_off", "unknown_verb"}


async def test_the_owner_says_no(live_house: House, meta: Meta) -> None:
    """The connection ends with `access_denied`, and nothing waits for a worker."""
    owner = await live_house.person()
    begun = await begin(live_house, owner, label_id := await live_house.label(owner))
    await decide(owner, begun["authorize_url"], allow="0")
    shown = (await owner.get(f"/v1/labels/{label_id}/connections/{begun['id']}")).json()
    assert (shown["status"], shown["problem"], shown["step"]) == ("error", "access_denied", None)
