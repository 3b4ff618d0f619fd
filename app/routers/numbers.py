"""The team's numbers, as JSON and as CSV."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response, Security

from app.access import Access, PartsDep, label_access
from app.errors import FieldError, Forbidden, InvalidInput, NotFound, Unauthenticated
from app.models.base import Instant
from app.models.numbers import AccountNumbersOut, PersonNumbersOut, TeamNumbers
from app.problems import problems
from app.services.numbers.report import AGES, Group, Report, report
from app.services.numbers.sheet import sheet

router = APIRouter(tags=["numbers"])
PATH = "/v1/labels/{label_id}/team-numbers"
Reader = Annotated[Access, Security(label_access, scopes=["numbers:read"])]
LATELY, LONGEST = timedelta(days=30), timedelta(days=366)
_REFUSALS = problems(InvalidInput, Forbidden, NotFound, Unauthenticated)
EXAMPLE = "of,id,name,first_response_count,first_response_median_s,…\r\neverybody,,,12,310.5,…\r\n"


@dataclass(frozen=True)
class Asked:
    """What is asked for, with its period."""

    since: datetime
    until: datetime
    report: Report


async def get_asked(
    parts: PartsDep,
    access: Reader,
    since: Annotated[Instant | None, Query(alias="from", description="30 days before `to` unless given")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Up to, and without; now unless given")] = None,
    connection_id: Annotated[str | None, Query(max_length=64, description="Only this account's")] = None,
    assignee: Annotated[str | None, Query(max_length=64, description="Only this person's")] = None,
) -> Asked:
    """The numbers of a period. Raises `InvalidInput` for one that is none, or longer than a year."""
    now = parts.clock()
    end = until or now
    begin = since or max(end, datetime.min.replace(tzinfo=end.tzinfo) + LATELY) - LATELY
    if not timedelta() < end - begin <= LONGEST:
        raise InvalidInput(errors=(FieldError("/query/from", "must be before `to`, by at most 366 days"),))
    narrowed = {"connection_id": connection_id, "assignee": assignee}
    return Asked(begin, end, await report(parts.db, access.label_id, since=begin, until=end, **narrowed, now=now))


AskedDep = Annotated[Asked, Depends(get_asked)]


@router.get(PATH, operation_id="getTeamNumbers", responses=_REFUSALS)
async def get_team_numbers(asked: AskedDep) -> TeamNumbers:
    """How long fans waited and conversations were open; what is open now. For everybody, each person, each account."""
    found = asked.report
    people = [PersonNumbersOut(person_id=one, name=_name(found, one), **_of(found.people[one])) for one in found.people]
    accounts = [
        AccountNumbersOut(connection_id=one, name=_name(found, one), **_of(found.accounts[one]))
        for one in found.accounts
    ]
    return TeamNumbers(
        since=asked.since,
        until=asked.until,
        people=sorted(people, key=lambda one: one.person_id),
        accounts=sorted(accounts, key=lambda one: one.connection_id),
        **_of(found.everybody),
    )


@router.get(
    PATH + ".csv",
    operation_id="getTeamNumbersSheet",
    response_class=Response,
    responses=_REFUSALS
    | {
        200: {
            "description": "The same, for spreadsheets",
            "content": {"text/csv": {"schema": {"type": "string"}, "example": EXAMPLE}},
        }
    },
)
async def get_team_numbers_sheet(asked: AskedDep) -> Response:
    """The same as CSV: a row for everybody, a row a person, a row an account. A cell that is empty has no figure."""
    named = {"Content-Disposition": 'attachment; filename="team-numbers.csv"'}
    return Response(sheet(asked.report), media_type="text/csv", headers=named)


def _of(group: Group) -> dict[str, Any]:
    ages = {age: group.ages[age] for age in AGES}
    return {
        "first_response": asdict(group.response),
        "resolution": asdict(group.resolution),
        "open": {"count": group.ages.total()} | ages,
    }


def _name(found: Report, one: str) -> str | None:
    return found.names.get(one)
