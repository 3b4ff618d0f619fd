"""Rules: what is done by itself with what fans write, tried before it is, and seen after it was."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Conflict, InvalidCursor, InvalidInput, NotFound, StaleVersion
from app.models.rule_runs import (
    ActionOut,
    ConditionOut,
    RuleTest,
    RuleTestOut,
    RunOut,
    RunPage,
    SpamOut,
    SpamReasonOut,
    TargetOut,
    TestedOut,
)
from app.models.rules import RuleChange, RuleCreate, RuleOut, RulePage
from app.problems import problems
from app.services.rules import reading, store, trying

router = APIRouter(prefix="/v1/labels/{label_id}/rules", tags=["rules"])
Reader = Annotated[Access, Security(label_access, scopes=["rules:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["rules:write"])]


@router.post(
    "", operation_id="createRule", status_code=201, responses=problems(InvalidInput, Conflict, BillingReadOnly)
)
async def create_rule(parts: PartsDep, access: Writer, body: RuleCreate, response: Response) -> RuleOut:
    """Make a rule. It looks at what comes from now on; try it first on what is there (`POST …/rules/test`)."""
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    rule = await store.create_rule(
        parts.db, parts.audit, access.label_id, body.stored(), by=access.by, now=parts.clock()
    )
    response.headers["Location"] = f"/v1/labels/{access.label_id}/rules/{rule['_id']}"
    response.headers["ETag"] = version_tag(rule)
    return RuleOut.of(rule)


@router.get("", operation_id="listRules", responses=problems(InvalidInput, InvalidCursor))
async def list_rules(parts: PartsDep, access: Reader, paging: PagingDep) -> RulePage:
    """The label's rules, in the order in which they are asked."""
    place = f"rules:{access.label_id}"
    after = cursors.decode(parts.cursor_key, place, paging.cursor) if paging.cursor else None
    found = await store.page_of_rules(
        parts.db, access.label_id, after=(after[0], after[1]) if after else None, limit=paging.limit
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["position", "_id"], limit=paging.limit)
    return RulePage(data=[RuleOut.of(rule) for rule in page], next_cursor=following)


@router.post("/test", operation_id="testRule", responses=problems(InvalidInput, InvalidCursor, NotFound))
async def test_rule(parts: PartsDep, access: Writer, body: RuleTest) -> RuleTestOut:
    """Try a rule, stored or not, on what is there: what would match, why, and what it would do. Nothing is done.

    It is tried in its place among the label's other rules, as it would act among them.
    """
    place = f"rules/test:{access.label_id}"
    before = int(cursors.decode(parts.cursor_key, place, body.cursor)[0]) if body.cursor is not None else None
    trial = await trying.try_rule(
        parts.db,
        access.label_id,
        rule_id=body.rule_id,
        body=body.rule.stored() if body.rule else None,
        before=before,
        limit=body.limit,
        now=parts.clock(),
    )
    return RuleTestOut(
        data=[_shown(one) for one in trial.tried],
        next_cursor=cursors.encode(parts.cursor_key, place, [trial.before]) if trial.before is not None else None,
        examined=trial.examined,
        matched=sum(one.verdict.matched for one in trial.tried),
    )


def _shown(one: trying.Tried) -> TestedOut:
    facts, verdict = one.facts, one.verdict
    reasons = [SpamReasonOut(code=code, points=points) for code, points in facts.spam.points()]
    return TestedOut(
        target=TargetOut(kind=facts.target_kind, id=facts.target),
        sent_at=facts.sent_at,
        matched=verdict.matched,
        conditions=[ConditionOut(at=tried.at, kind=tried.kind, true=true) for tried, true in verdict.conditions],
        actions=[ActionOut(kind=action.kind, skipped=action.skipped) for action in verdict.actions],
        spam=SpamOut(score=facts.spam.score, reasons=reasons),
    )


@router.get("/{rule_id}", operation_id="getRule", responses=problems(NotFound))
async def get_rule(parts: PartsDep, access: Reader, rule_id: str, response: Response) -> RuleOut:
    """One rule."""
    rule = await store.need_rule(parts.db, access.label_id, rule_id)
    response.headers["ETag"] = version_tag(rule)
    return RuleOut.of(rule)


@router.patch("/{rule_id}", operation_id="changeRule", responses=problems(InvalidInput, NotFound, StaleVersion))
async def change_rule(
    parts: PartsDep, access: Writer, rule_id: str, body: RuleChange, versions: VersionsDep, response: Response
) -> RuleOut:
    """Change a rule; what is left out stays. What it had planned and not yet done, it does not do any more.

    `enabled: true` also lets a paused rule go on, with what comes from then on.
    """
    rule = await store.change_rule(
        parts.db,
        parts.audit,
        access.label_id,
        rule_id,
        changes=body.stored(),
        versions=versions,
        by=access.by,
        now=parts.clock(),
    )
    response.headers["ETag"] = version_tag(rule)
    return RuleOut.of(rule)


@router.delete(
    "/{rule_id}", operation_id="deleteRule", status_code=204, responses=problems(InvalidInput, NotFound, StaleVersion)
)
async def delete_rule(parts: PartsDep, access: Writer, rule_id: str, versions: VersionsDep) -> None:
    """Delete a rule. What it had planned and not yet done, it does not do any more."""
    await store.delete_rule(
        parts.db, parts.audit, access.label_id, rule_id, versions=versions, by=access.by, now=parts.clock()
    )


@router.get("/{rule_id}/runs", operation_id="listRuleRuns", responses=problems(InvalidInput, InvalidCursor, NotFound))
async def list_rule_runs(parts: PartsDep, access: Reader, rule_id: str, paging: PagingDep) -> RunPage:
    """What the rule did in the last 30 days, newest first: on what, why, and what became of it."""
    place = f"rule_runs:{access.label_id}:{rule_id}"
    found = await reading.page_of_runs(
        parts.db,
        access.label_id,
        rule_id,
        before=cursors.decode_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
        now=parts.clock(),
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return RunPage(data=[RunOut.of(run) for run in page], next_cursor=following)
