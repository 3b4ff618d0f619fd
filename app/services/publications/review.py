"""Review: who wrote a publication asks, and who may approve says yes or no, to one version of it."""

from typing import Literal

from app.db import Doc, Session
from app.models.publications import State
from app.publication_errors import ApprovalNeeded, OwnPublication
from app.services.labels import labels
from app.services.publications import checking, comments
from app.services.publications.writing import Hand, Work, actor, need, step

DRAFT: tuple[State, ...] = ("draft",)
IN_REVIEW: tuple[State, ...] = ("in_review",)


async def submit(hand: Hand, publication_id: str) -> Doc:
    """Ask for approval of a draft. Raises `PublicationInvalid` for one that Meta would refuse, and as `step` does."""
    found = await need(hand.db, hand.label_id, publication_id)
    if found["state"] == "draft":
        (await checking.check(hand.db, hand.label_id, found, now=hand.now)).need_valid()

    async def work(publication: Doc, session: Session) -> Doc:
        asked = {"state": "in_review", "submitted_by": actor(hand.by)}
        return asked | await checking.hold_files(hand.db, publication, now=hand.now, session=session)

    return await step(hand, publication_id, "publication.submitted", states=DRAFT, work=work)


async def approve(hand: Hand, publication_id: str, comment: str | None) -> Doc:
    """Approve it as it is now: its content version. Raises `OwnPublication`, and as `step` does."""
    label = await labels.need_label(hand.db, hand.label_id)

    async def work(publication: Doc, session: Session) -> Doc:
        _check_eyes(hand, label, publication)
        return {"state": "approved"} | _approval(hand, publication)

    return await _decide(hand, publication_id, "approved", work, comment)


async def reject(hand: Hand, publication_id: str, comment: str) -> Doc:
    """Send it back to be changed. Raises as `step` does."""

    async def work(publication: Doc, session: Session) -> Doc:
        return {"state": "draft", "submitted_by": None, "shown": None}

    return await _decide(hand, publication_id, "rejected", work, comment)


def approval_for(hand: Hand, label: Doc, publication: Doc) -> Doc:
    """What scheduling adds: whoever may approve, does so by it, unless the label wants four eyes.

    Raises `ApprovalNeeded`.
    """
    if publication["approved_version"] == publication["content_version"]:
        return {}
    wanted = labels.approval_of(label)
    if wanted == "not_needed":
        return {}
    if wanted == "four_eyes" or not hand.may_approve:
        raise ApprovalNeeded
    return _approval(hand, publication)


def _check_eyes(hand: Hand, label: Doc, publication: Doc) -> None:
    if labels.approval_of(label) == "four_eyes" and actor(hand.by) in publication["authors"]:
        raise OwnPublication


def _approval(hand: Hand, publication: Doc) -> Doc:
    mine = actor(hand.by) in publication["authors"]
    approval: Doc = {"approved_by": actor(hand.by), "approved_version": publication["content_version"]}
    return approval | ({} if mine else {"authors": []})


async def _decide(
    hand: Hand, publication_id: str, decision: Literal["approved", "rejected"], work: Work, comment: str | None
) -> Doc:
    async def say(changed: Doc, session: Session) -> None:
        if comment:
            await comments.insert(hand, changed, comment, about=decision, session=session)

    action = f"publication.{decision}"
    return await step(hand, publication_id, action, states=IN_REVIEW, work=work, after=say)
