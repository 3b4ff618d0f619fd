"""Violations of promises about time, rights, security and consents."""

from datetime import timedelta

from app.clients.graph_insights import begin_of
from app.db import Doc
from app.models.data_map import INSIGHTS_LIFE
from app.models.policies import make_policy
from tests.flows.promises_harness import DAY, Ground, plants


@plants("messages-30-days")
async def old_message(on: Ground) -> None:
    """It ended twenty minutes ago... and the sweepers see it, too."""
    await on.put("messages", **on.of_fan(direction="in") | {"expires_at": on.now - timedelta(minutes=20)})


@plants("comments-30-days")
async def old_comment(on: Ground) -> None:
    """The same."""
    await on.put("comments", **on.of_fan() | {"expires_at": on.now - timedelta(minutes=20)})


@plants("content-has-an-end")
async def lasting_message(on: Ground) -> None:
    """A hundred days."""
    await on.put("messages", **on.of_fan(direction="in") | {"expires_at": on.now + 100 * DAY})


@plants("deliveries-end-too")
async def old_delivery(on: Ground) -> None:
    """Nobody has worked it off for 31 days."""
    times = {"at": on.now - 31 * DAY, "due_at": on.now + DAY, "expires_at": on.now + DAY}
    await on.put("webhook_inbox", object="instagram", **times)


@plants("content-ends-by-its-own-time")
async def kept_since_it_came(on: Ground) -> None:
    """Written ten days ago, and kept for thirty from now: a backfill that counts from its own time."""
    await on.put("messages", **on.of_fan(direction="in", sent_at=on.now - 10 * DAY))


@plants("disconnect-leaves-nothing")
async def rest_of_a_disconnect(on: Ground) -> None:
    """A comment has stayed."""
    ended = {"provider": "instagram", "begun_at": on.now, "completed_at": on.now, "expires_at": on.now + DAY}
    gone = await on.put("disconnections", label_id=on.label_id, **ended)
    empty: Doc = {"account": None, "account_ids": [], "status": "revoked", "active_account_id": "none"}
    await on.put("connections", **on.connection | empty | {"_id": gone})
    await on.put("comments", **on.of_fan(connection_id=gone))


@plants("disconnect-ends-in-time")
async def endless_disconnect(on: Ground) -> None:
    """Under way for four days."""
    begun = {"provider": "instagram", "begun_at": on.now - 4 * DAY, "completed_at": None, "expires_at": on.now + DAY}
    await on.put("disconnections", label_id=on.label_id, **begun)


@plants("nothing-outlives-its-label")
async def slot_of_a_label_that_is_gone(on: Ground) -> None:
    """It has stayed."""
    await on.put("slots", label_id="lbl_gone", name="Evening")


@plants("expired-is-deleted")
async def overdue(on: Ground) -> None:
    """An event that ended an hour ago."""
    ids = {"label_id": on.label_id, "key": "overdue", "type": "message.received", "target": "msg_1"}
    await on.put("events", **ids, at=on.now, expires_at=on.now - timedelta(hours=1))


@plants("ttl-indexes-in-place")
async def no_ttl(on: Ground) -> None:
    """An undeclared one, which would delete what is to stay."""
    labels = on.house.db.raw["labels"]
    await labels.create_index("created_at", expireAfterSeconds=10_000_000)
    on.undo.append(lambda: labels.drop_index("created_at_1"))


@plants("insights-24-months")
async def old_figures(on: Ground) -> None:
    """They have ended."""
    day = (on.now - INSIGHTS_LIFE - 2 * DAY).date()
    ids = {"label_id": on.label_id, "connection_id": on.connection["_id"], "day": day.isoformat(), "metrics": {}}
    await on.put("account_days", **ids, expires_at=begin_of(day) + INSIGHTS_LIFE)


@plants("insights-end-by-their-own-day")
async def lasting_figures(on: Ground) -> None:
    """Kept since they were read."""
    ids = {"label_id": on.label_id, "connection_id": on.connection["_id"], "day": "2026-01-01", "metrics": {}}
    await on.put("account_days", **ids, expires_at=on.now + INSIGHTS_LIFE)


@plants("payment-records-kept")
async def undated_record(on: Ground) -> None:
    """Nobody knows until when."""
    ids = {"label_id": on.label_id, "provider_id": "in_planted", "kind": "invoice", "at": on.now}
    await on.put("money_records", **ids, keep_until=None, law="GB")


@plants("payment-records-purged")
async def overdue_record(on: Ground) -> None:
    """It should have gone two days ago."""
    ids = {"label_id": on.label_id, "provider_id": "in_planted", "kind": "invoice", "at": on.now - 3000 * DAY}
    until = (on.now - 2 * DAY).date().isoformat()
    await on.put("money_records", **ids, keep_until=until, law="GB", purge_at=on.now - 2 * DAY)


@plants("encrypted-in-transit")
async def plain_address(on: Ground) -> None:
    """Our own, for everybody."""
    on.set(public_url="http://api.label.example")


@plants("encrypted-at-rest")
async def seed_in_clear(on: Ground) -> None:
    """Of somebody's authenticator app."""
    await on.put("second_factors", envelope={"v": 1, "seed": "JBSWY3DPEHPK3PXP"}, confirmed_at=on.now, recovery=[])


@plants("access-by-one-table")
async def unknown_role(on: Ground) -> None:
    """That no table has."""
    await on.put("memberships", label_id=on.label_id, user_id="usr_gone", role="agent", created_at=on.now)


@plants("reviewed-every-day")
async def old_attestation(on: Ground) -> None:
    """Of last week."""
    row = {"_id": 1, "day": "2026-01-01", "at": on.now - 7 * DAY, "sha256": "", "broken": [], "jws": ""}
    await on.put("attestations", **row)


@plants("reachable-for-requests")
async def mail_that_came_back(on: Ground) -> None:
    """From our own desk."""
    ids = {"label_id": None, "user_id": "ourselves", "to": "privacy@soundops.io", "template": "promise_changed"}
    await on.put("mails", **ids, state="failed", expires_at=on.now + DAY)


@plants("sessions-end")
async def endless_session(on: Ground) -> None:
    """A year."""
    times = {"created_at": on.now, "ends_at": on.now + 365 * DAY, "expires_at": on.now + DAY}
    await on.put("sessions", user_id=on.user_id, network="203.0.113.0/24", **times)


@plants("nobody-under-16")
async def past_the_gate(on: Ground) -> None:
    """An account that no gate has seen."""
    await on.change("users", on.user_id, policy_version="")


@plants("erased-accounts-are-gone")
async def erased_and_still_here(on: Ground) -> None:
    """Somebody has said that it is done."""
    await on.put("privacy_requests", **on.request("erasure") | {"state": "done", "closed_at": on.now})


@plants("access-within-a-month")
async def late_access(on: Ground) -> None:
    """Nobody has answered."""
    await on.put("privacy_requests", **on.request("access"))


@plants("correction-within-a-month")
async def late_correction(on: Ground) -> None:
    """The same."""
    await on.put("privacy_requests", **on.request("correction"))


@plants("erasure-within-a-month")
async def late_erasure(on: Ground) -> None:
    """Of a fan."""
    await on.put("privacy_requests", **on.request("fan_erasure") | {"user_id": None})


@plants("objections-within-a-month")
async def late_objection(on: Ground) -> None:
    """The same."""
    await on.put("privacy_requests", **on.request("objection"))


@plants("portability-within-a-month")
async def late_portability(on: Ground) -> None:
    """The same."""
    await on.put("privacy_requests", **on.request("portability"))


@plants("consents-cite-their-words")
async def consent_to_nothing(on: Ground) -> None:
    """To words that nobody has shown."""
    await on.put("consents", **on.consent("usr_somebody") | {"text_digest": "0" * 64})


@plants("choices-asked-again")
async def endless_consent(on: Ground) -> None:
    """Of a visitor, for two years."""
    ends = {"ends_at": on.now + 700 * DAY, "expires_at": on.now + 900 * DAY}
    await on.put("consents", **on.consent("vis_somebody") | ends)


@plants("analytics-by-the-banner")
async def consent_of_a_script(on: Ground) -> None:
    """That nobody has clicked on."""
    ends = {"ends_at": on.now + 100 * DAY, "expires_at": on.now + 900 * DAY}
    await on.put("consents", **on.consent("vis_somebody") | ends | {"how": "settings"})


@plants("changes-are-told")
async def change_that_nobody_hears_of(on: Ground) -> None:
    """A new version, two days old."""
    version = (on.now - 2 * DAY).date().isoformat()
    on.policies = (*on.policies, make_policy(version, "A new text.", material=True, changes="Everything."))

    async def back() -> None:
        on.policies = on.policies[:-1]

    on.undo.append(back)


@plants("only-posted-policies")
async def another_policy(on: Ground) -> None:
    """That somebody was shown, and nobody else."""
    accepted = {"version": "2026-03-13", "sha256": "0" * 64, "how": "register", "at": on.now}
    await on.change("users", on.user_id, policy_acceptances=[accepted])


@plants("usage-names-only")
async def words_of_a_page(on: Ground) -> None:
    """What stood on it."""
    await on.put("consents", **on.consent("vis_somebody"))
    await on.put("usage_events", **on.used("vis_somebody"), title="Night Swim, unreleased")


@plants("usage-by-consent")
async def use_without_consent(on: Ground) -> None:
    """Of somebody who was never asked."""
    await on.put("usage_events", **on.used("vis_unasked"))


@plants("usage-24-months")
async def use_of_years_ago(on: Ground) -> None:
    """With a consent that stood."""
    await on.put("consents", **on.consent("vis_somebody"))
    await on.put("usage_events", **on.used("vis_somebody") | {"month": "2023-01"})


@plants("sums-about-ten-or-more")
async def sum_about_three(on: Ground) -> None:
    """People who used one page."""
    cells = [{"kind": "page", "name": "inbox", "browser": None, "events": 9, "people": 3}]
    await on.put("usage_months", _id="2024-01", events=900, people=20, cells=cells, fewest_people=10)


@plants("marketing-by-consent")
async def unwanted_mail(on: Ground) -> None:
    """That cites nobody."""
    ids = {"label_id": None, "user_id": on.user_id, "template": "marketing", "campaign_id": "cmp_1", "consent_id": None}
    await on.put("mails", **ids, state="sent", expires_at=on.now + DAY)


@plants("withdrawal-counts-at-once")
async def use_after_withdrawal(on: Ground) -> None:
    """An hour ago somebody said no, and what was noted before is still here."""
    await on.put("consents", **on.consent("usr_somebody"))
    withdrawn = {"seq": 2, "decision": "withdrawn", "at": on.now - timedelta(hours=1)}
    await on.put("consents", **on.consent("usr_somebody") | withdrawn)
    await on.put("usage_events", **on.used("usr_somebody"))
