"""Where the restored chains of the audit log end.

A backup reads the rows first, and the heads of their chains afterwards: what was written between is in the lost window,
and a head of the backup tells of rows that are not in it. The chain ends at the last row that is there, as it would
have at that instant.
"""

from datetime import datetime

from app.db import ALL_LABELS, Database
from app.services.audit import Audit, end_of, is_sealed, seal_of

WHY = f"{ALL_LABELS}the chains of a restored backup"


async def end_where_rows_end(db: Database, audit: Audit, *, now: datetime) -> int:
    """Have each head of ours that is ahead of its rows tell of the last of them; how many there were.

    A head that is not as we left it stays so, and is seen; so does one whose rows' year is over.
    """
    heads, log, count = db.open("audit_heads"), db.open("audit_log"), 0
    async for head in heads.find({}, comment=WHY):
        if not is_sealed(audit.key, head):
            continue
        place = {"label_id": head["label_id"], "chain": head["chain"]}
        row = await log.find_one(place, sort=[("seq", -1)])
        if row is None and head["last"]["expires_at"] > now:  # it was begun between
            await heads.delete_one(place | {"_id": head["_id"]})
        elif row is not None and isinstance(row["seq"], int) and row["seq"] < head["last"]["seq"]:
            last = end_of(row)
            mended = {"$set": {"last": last, "seal": seal_of(audit.key, place, last)}}
            await heads.update_one(place | {"_id": head["_id"]}, mended)
        else:
            continue
        count += 1
    return count
