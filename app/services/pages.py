"""Pages of what Meta's content is in: sorted by a time, newest first, and bounded by the 30 days that it may live."""

from datetime import datetime, timedelta

from app.db import Doc
from app.models.data_map import CONTENT_LIFE

Cursor = tuple[datetime, str]
SLACK = timedelta(days=1)


def page_query(query: Doc, field: str, after: Cursor | None, *, now: datetime) -> Doc:
    """Bound the sort key: by the cursor from above, and from below by what can still be there."""
    earliest = {"$gt": now - CONTENT_LIFE - SLACK}
    if after is None:
        return query | {field: earliest}
    return query | {field: earliest | {"$lte": after[0]}, "$nor": [{field: after[0], "_id": {"$gte": after[1]}}]}
