"""Billing agrees with Stripe whatever becomes of its events, and buys nothing twice whatever becomes of its calls."""

from pathlib import Path

import pytest

from tests.faults import billing_histories, billing_intents

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own way to call httpx


@pytest.mark.timeout(600)
async def test_histories_end_as_at_stripe(tmp_path: Path) -> None:
    """Three random orders of each, with losses and duplicates, then reconciled."""
    async with billing_histories.stage(tmp_path) as till:
        outcome = await billing_histories.live(till, histories=3, seed=11)
    assert outcome.compared == 3 * billing_histories.PERIODS
    assert outcome.events["lost"] and outcome.events["twice"] and outcome.events["late"]
    assert outcome.troubles == []


@pytest.mark.timeout(900)
async def test_no_order_has_its_effect_twice(tmp_path: Path) -> None:
    """While calls fail in every way and the worker dies."""
    async with billing_intents.stage(tmp_path, seed=11) as found:
        await billing_intents.intents(found, labels=2)
    assert found.states.total() == 16 and found.kills and found.faults
    assert found.troubles == []
