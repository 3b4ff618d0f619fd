"""What each template shows, and where its link leads: an example of every mail."""

from app.services.single_use import Purpose

NEW, OLD = "new@example.com", "old@example.com"
CONNECTION = {
    "name": "Mara",
    "label": "Nightjar",
    "account": "nightjar",
    "provider": "Spotify",
    "connection_id": "con_1",
    "label_id": "lbl_1",
}
PAYING = {"name": "Mara", "label": "Nightjar", "label_id": "lbl_1"}
ASKED = {"request_id": "prq_1", "label_id": "lbl_1"}
FACTS: dict[str, dict[str, str]] = {
    "verify_email": {"name": "Mara"},
    "address_known": {"name": "Mara"},
    "erasure_waits": {"name": "Mara", "on": "2026-12-06"},
    "reset_password": {"name": "Mara"},
    "password_changed": {"name": "Mara"},
    "change_email": {"name": "Mara", "email": NEW, "token_email": NEW},
    "email_change_asked": {"name": "Mara", "email": NEW},
    "email_changed": {"name": "Mara", "email": NEW, "token_email": OLD},
    "new_device": {"name": "Mara", "at": "2026-11-25 09:30 UTC", "device": "Firefox 140", "network": "203.0.113.0/24"},
    "second_factor_changed": {"name": "Mara", "change": "switched on"},
    "invitation": {"label": "Nightjar", "role": "editor", "inviter": "Jonas"},
    "label_deleting": {"name": "Mara", "label": "Nightjar", "on": "2026-12-25"},
    "erasure_begun": {
        "name": "Mara",
        "on": "2026-12-06",
        "page": "https://api.example/erasure/K7M2Q9XW4TB6ZD3F5GH7ABCD",
    },
    "fan_erasure_asked": {"name": "Mara", "label": "Nightjar", "on": "2026-12-27"} | ASKED,
    "fan_request_due": {"name": "Mara", "label": "Nightjar", "on": "2026-12-29"} | ASKED,
    "request_due": {"kind": "erasure", "request_id": "prq_1", "on": "2026-12-29"},
    "owner_changed": {"name": "Mara", "label": "Nightjar", "owners": "Ines, Teo"},
    "email_change_undone": {"name": "Mara"},
    "client_secret_made": {"name": "Mara", "label": "Nightjar", "client": "Tour planner"},
    "connection_expiring": CONNECTION | {"left": "7 days", "on": "2026-12-02"},
    "connection_needs_login": CONNECTION,
    "connection_left": {name: CONNECTION[name] for name in ("name", "label", "account", "provider")},
    "publication_to_do": {
        "name": "Mara",
        "label": "Nightjar",
        "account": "nightjar",
        "network": "Instagram",
        "publication_id": "pub_1",
        "label_id": "lbl_1",
        "words": "Out on Friday.",
    },
    "publication_stopped": {
        "name": "Mara",
        "label": "Nightjar",
        "publication_id": "pub_1",
        "label_id": "lbl_1",
        "words": "Out on Friday.",
        "what": "it was not published",
    },
    "policy_changed": {"name": "Mara", "on": "2027-03-01", "changes": "We count clicks."},
    "billing_payment_failed": PAYING
    | {"amount": "19.00 EUR", "number": "A-0002", "again": "2026-12-02", "until": "2026-12-06"},
    "billing_action_needed": PAYING | {"amount": "19.00 EUR", "number": "A-0002", "until": "2026-12-06"},
    "billing_read_only": PAYING,
    "billing_ended": PAYING | {"plan": "Pro"},
    "billing_recovered": {"name": "Mara", "label": "Nightjar", "plan": "Pro"},
    "billing_trial_ends": PAYING | {"plan": "Pro", "on": "2026-12-06"},
    "export_ready": {"name": "Mara", "until": "2026-12-06"},
    "label_export_ready": PAYING | {"until": "2026-12-06"},
}
RECONNECT = "connections/con_1/reconnect?label=lbl_1"
TO_DO = "publications/pub_1?label=lbl_1"
BILLING = "billing?label=lbl_1"
REQUESTS = dict.fromkeys(("fan_erasure_asked", "fan_request_due"), "privacy-requests/prq_1?label=lbl_1")
EXPORTS = {"export_ready": "account/exports", "label_export_ready": "exports?label=lbl_1"}
ELSEWHERE = {"marketing", "promise_changed"}
"""One needs a campaign and a consent, the other goes to ourselves: test_flows_marketing.py, test_api_promises.py."""
PAGES = {
    **dict.fromkeys(("connection_expiring", "connection_needs_login"), RECONNECT),
    **dict.fromkeys(("publication_to_do", "publication_stopped"), TO_DO),
    **dict.fromkeys(("billing_payment_failed", "billing_action_needed", "billing_read_only"), BILLING),
    **dict.fromkeys(("billing_ended", "billing_trial_ends"), BILLING),
    **EXPORTS,
    **REQUESTS,
    "policy_changed": "privacy?version=2027-03-01",
}
"""Which mails lead to a page of the app without a token."""
LINKS: dict[str, tuple[Purpose, str]] = {
    "verify_email": ("verify_email", "verify-email"),
    "reset_password": ("reset_password", "reset-password"),
    "email_change_undone": ("reset_password", "reset-password"),
    "change_email": ("change_email", "confirm-email-change"),
    "email_changed": ("undo_email_change", "undo-email-change"),
    "invitation": ("invitation", "accept-invitation"),
    "erasure_begun": ("cancel_erasure", "keep-account"),
    "erasure_waits": ("cancel_erasure", "keep-account"),
}
