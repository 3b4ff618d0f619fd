"""Makers for tests about rules: facts and stored rules with sensible defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.db import Doc
from app.models.rules import RuleCreate
from app.services.rules.evaluating import Rule, prepared
from app.services.rules.facts import Facts

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
"""A Monday morning."""
NAMES = ("alex", "sam", "kim")


def facts(text: str = "Love it", **more: Any) -> Facts:
    """A comment of a fan's, delivered a second after it was written."""
    sent_at = more.pop("sent_at", AT)
    found: dict[str, Any] = {
        "target_kind": "comment",
        "target": "cmt_1",
        "whens": frozenset(("comment",)),
        "label_id": "lbl_1",
        "connection_id": "con_1",
        "text": text,
        "sent_at": sent_at,
        "received_at": sent_at + timedelta(seconds=1),
        "author_id": "900",
        "author_handle": "fan.one",
    }
    return Facts(**(found | more))


def stored(conditions: Doc | None = None, *actions: Doc, rule_id: str = "rul_1", **more: Any) -> Doc:
    """A rule as it is stored."""
    body = {"name": "A rule", "when": "comment", "conditions": conditions or {}, "actions": list(actions) or [NOTIFY]}
    rule = RuleCreate.model_validate(body | more)
    return {"_id": rule_id, "version": 1, "revision": 1, "since": 0, "paused": None} | rule.model_dump(
        by_alias=True, exclude_none=True
    )


def rule(conditions: Doc | None = None, *actions: Doc, rule_id: str = "rul_1", **more: Any) -> Rule:
    """A rule, ready to be asked."""
    return prepared(stored(conditions, *actions, rule_id=rule_id, **more))


def one(kind: str, **more: Any) -> Doc:
    """Conditions of this one."""
    return {"of": [{"kind": kind} | more]}


NOTIFY = {"kind": "notify"}
HIDE = {"kind": "hide"}
REPLY = {"kind": "reply", "text": "Thank you!"}
