"""Checks of people's accounts: what is kept of them, who is let in, and that nobody under 16 is."""

import ipaddress
from datetime import timedelta
from typing import get_args

from app.db import Doc
from app.derived_keys import derive
from app.models.access import META_SCOPES, Role
from app.services.audit import mac_of
from app.services.mail.letters import LETTERS
from app.services.promises.promise import Look, Measured
from app.services.promises.sampling import all_told, count_odd, living, names, sample, strings

OF_BIRTH = frozenset(("date_of_birth", "birthday", "birth_date", "born", "age"))
OF_PLACES = ("sessions", "audit_log", "consents", "usage_events", "idempotency_keys")
"""Where something is kept of a request, or of a browser."""
SHORT = {4: 24, 6: 48}
"""So much of an address is kept, in bits."""
LONGEST_ADDRESS = 49
"""Letters: of IPv6 with a prefix's length."""
LONGEST_SESSION = timedelta(days=30)
LONGEST_GRANT = timedelta(hours=1)


async def passwords_hashed(look: Look) -> Measured:
    """Accounts whose password is kept in another way than as an Argon2id hash. Who was locked out has none."""

    def is_kept(one: Doc) -> bool:
        kept = one.get("password_hash")
        return "password" in one or (kept is not None and not str(kept).startswith("$argon2id$"))

    return await count_odd(look, ["users"], is_kept)


async def nobody_under_16(look: Look) -> Measured:
    """Accounts that did not pass the age gate, which lets nobody in without a policy version, and keeps no birthday."""
    return await count_odd(
        look, ["users"], lambda one: not one.get("policy_version") or not OF_BIRTH.isdisjoint(names(one))
    )


async def addresses_truncated(look: Look) -> Measured:
    """Documents with a whole network address, under whichever name. What a browser calls itself is its own words."""

    def tells(one: Doc) -> bool:
        return any(_is_whole(text) for name, value in one.items() if name != "user_agent" for text in strings(value))

    return await count_odd(look, OF_PLACES, tells)


def _is_whole(text: str) -> bool:
    """Whether a text is an address of a machine, or of a network with few of them."""
    if not ("." in text or ":" in text) or len(text) > LONGEST_ADDRESS:
        return False
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen > SHORT[network.version]


async def sessions_end(look: Look) -> Measured:
    """Log-ins that would last for more than 30 days, or for good."""

    def lasts(one: Doc) -> bool:
        ends, begun = one.get("ends_at"), one.get("created_at")
        return not (ends and begun and one.get("expires_at")) or ends - begun > LONGEST_SESSION

    return await count_odd(look, ["sessions"], lasts)


async def support_bounded(look: Look) -> Measured:
    """Accesses of our support without a reason, or for more than an hour."""

    def unbounded(one: Doc) -> bool:
        return not one.get("reason") or one["ends_at"] - one["created_at"] > LONGEST_GRANT

    return await count_odd(look, ["support_grants"], unbounded)


async def access_by_table(look: Look) -> Measured:
    """Memberships without a role of the table, or of people or labels that are not there."""
    found = await sample(look, "memberships")
    people = await living(look.db, "users", [one["user_id"] for one in found])
    labels = await living(look.db, "labels", [one["label_id"] for one in found])
    odd = [
        one
        for one in found
        if one.get("role") not in get_args(Role) or one["user_id"] not in people or one["label_id"] not in labels
    ]
    return all_told({"memberships": odd})


async def meta_data_decided(look: Look) -> Measured:
    """Partners' clients that reach data from Meta without an owner's decision, which says who, when and why."""

    def undecided(one: Doc) -> bool:
        decision = one.get("meta_access")
        if not decision:
            return False
        recorded = all(decision.get(name) for name in ("reason", "decided_by", "decided_at"))
        return not recorded or not set(decision.get("scopes", ())) <= META_SCOPES

    return await count_odd(look, ["api_clients"], undecided)


async def clients_let_in(look: Look) -> Measured:
    """Partners' clients that no person of a label has made."""
    return await count_odd(look, ["api_clients"], lambda one: not str(one.get("created_by", "")).startswith("usr_"))


async def mails_known(look: Look) -> Measured:
    """Mails that are none of the letters that we send."""
    return await count_odd(look, ["mails"], lambda one: one.get("template") not in (*LETTERS, "none"))


async def audit_intact(look: Look) -> Measured:
    """Rows of the audit log that are not as they were written."""
    key = derive(look.settings, "audit")

    def is_changed(row: Doc) -> bool:
        try:
            return bool(row["mac"] != mac_of(key, row))
        except (KeyError, TypeError):
            return True

    return await count_odd(look, ["audit_log"], is_changed)
