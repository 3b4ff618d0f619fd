"""What looks for a person walks an index, in every collection of the map: nothing is read from end to end."""

import pytest

from app.db import ALL_LABELS, Doc
from app.models.data_map import DATA_MAP
from app.services.privacy import whose
from app.services.privacy.whose import Subject
from tests.api.test_api_inbox_plans import stages
from tests.house import House

USERS = sorted(c.name for c in DATA_MAP.values() for p in c.parts if p.subject == "user" and p.erase != "keep")
WHY = f"{ALL_LABELS}a test explains"


@pytest.mark.parametrize("name", sorted(set(USERS)))
async def test_a_person_is_found_by_an_index(house: House, name: str) -> None:
    """Each query of the walk, of each part."""
    subject = Subject("usr_x", "x@example.com", ("lbl_x",), house.clock())
    queries: list[Doc] = []
    collection = DATA_MAP[name]
    for part in collection.parts:
        if part.subject == "user" and part.erase != "keep":
            queries += [query async for query in whose.queries(house.db, collection, part, subject)]
    assert queries
    for query in queries:
        plan = await house.db.raw.command(
            {"explain": {"find": name, "filter": query, "comment": WHY}, "verbosity": "queryPlanner"}
        )
        found = set(stages(plan["queryPlanner"]["winningPlan"]))
        assert "COLLSCAN" not in found, (query, found)
