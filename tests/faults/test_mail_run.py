"""A worker dies at each point around a mail's hand-over, and no mail arrives twice."""

from pathlib import Path

import pytest

from app.models.drills import Point
from tests.faults.mail_run import POINTS, mail_run, stage, table

MAILS = 6
NEVER_SENT: Point = "before_call"
"""Here it is written down that the mail goes, and it has not gone: nobody can know, so such a mail stays in doubt."""


@pytest.mark.timeout(300)
def test_a_mail_is_sent_at_most_once_wherever_the_worker_dies(tmp_path: Path) -> None:
    """Each arrives once or its operation is `unknown` with a reason; no address and no token is in the worker's log."""
    with stage(tmp_path) as running:
        outcomes = mail_run(running, mails=MAILS, seed=3)
    shown = table(outcomes)
    assert [outcome.point for outcome in outcomes] == list(POINTS)
    assert all(outcome.kills for outcome in outcomes), shown
    assert not any(outcome.troubles for outcome in outcomes), shown
    assert all(outcome.states.total() == MAILS for outcome in outcomes), shown
    in_doubt = {outcome.point: outcome.states["unknown"] for outcome in outcomes}
    assert in_doubt[NEVER_SENT] > in_doubt["after_record"], shown
