"""When connections are tended, for any times: early enough, often enough, and never without an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.features import Provider
from app.services.connections.schedule import (
    CONFIRM_AFTER,
    LONGEST_WAIT,
    PROBE_AFTER,
    WARNINGS,
    after_denial,
    after_failure,
    end_of_grant,
    next_warning,
    refresh_after,
    warning_due,
)

SHARES = st.floats(min_value=0, max_value=1)
MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 (hypothesis adds the zone)
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
DAY = timedelta(days=1)


@given(st.booleans())
def test_a_denied_token_is_asked_for_a_few_times_only(probes: bool) -> None:
    """Believed after the third denial and from then on; whatever the provider goes on saying, asking ends."""
    verdicts = [after_denial(count, probes=probes) for count in range(1, 20)]
    assert [verdict.believed for verdict in verdicts] == [False, False] + [True] * 17
    waits = [verdict.again_after for verdict in verdicts if verdict.again_after is not None]
    assert waits == list(CONFIRM_AFTER + (PROBE_AFTER if probes else ()))
    assert all(verdict.again_after is None for verdict in verdicts[len(waits) :])


@given(st.integers(min_value=0, max_value=10**6), SHARES)
def test_a_failure_is_waited_out_longer_each_time(attempts: int, spread: float) -> None:
    """Never shorter than before, never longer than twelve minutes."""
    wait = after_failure(attempts, spread=spread)
    assert timedelta(seconds=2) <= wait <= LONGEST_WAIT * 1.2
    assert after_failure(attempts + 1, spread=0) >= after_failure(attempts, spread=0)


@given(st.sampled_from(("instagram", "facebook")), st.integers(min_value=3600, max_value=70 * 86_400), SHARES)
def test_long_tokens_are_refreshed_in_the_first_half_of_their_life(
    provider: Provider, seconds: int, spread: float
) -> None:
    """Idle or not, with two weeks in hand before day 45 for a life of sixty days."""
    life = timedelta(seconds=seconds)
    after = refresh_after(provider, life, spread=spread)
    assert life * 0.4 < after <= life / 2 or timedelta(days=27) <= after <= timedelta(days=30)


@given(SHARES)
def test_what_names_no_end_is_refreshed_too(spread: float) -> None:
    """A token without an end, and Spotify's, which ends within the hour anyway."""
    assert timedelta(days=27) <= refresh_after("facebook", None, spread=spread) <= timedelta(days=30)
    assert timedelta(days=6) <= refresh_after("spotify", None, spread=spread) <= timedelta(days=7)


@given(MOMENTS, st.integers(min_value=-100 * 86_400, max_value=100 * 86_400))
def test_warnings_come_in_order_and_end(now: datetime, seconds: int) -> None:
    """Looking only when it is time finds every warning that still lies ahead, once each, and then the end."""
    ends_at = now + timedelta(seconds=seconds)
    looks, found = next_warning(ends_at, now), []
    while looks is not None:
        found.append(warning_due(ends_at, looks))
        following = next_warning(ends_at, looks)
        assert following is None or looks < following <= ends_at
        looks = following
    ahead = [before.days for before in WARNINGS if ends_at - before > now]
    assert found == ([*ahead, None] if ends_at > now else [])


@given(MOMENTS, st.integers(min_value=1, max_value=30 * 86_400))
def test_of_several_missed_warnings_the_most_urgent_counts(now: datetime, seconds: int) -> None:
    """Whoever looks late says what is true then."""
    left = timedelta(seconds=seconds)
    days = warning_due(now + left, now)
    expected = 1 if left <= DAY else 7 if left <= 7 * DAY else 14 if left <= 14 * DAY else None
    assert days == expected


@pytest.mark.parametrize(
    ("begun", "ends"),
    [
        ((2026, 5, 25), (2026, 11, 25)),
        ((2026, 8, 31), (2027, 2, 28)),
        ((2027, 8, 31), (2028, 2, 29)),
        ((2026, 12, 31), (2027, 6, 30)),
        ((2026, 6, 30), (2026, 12, 30)),
    ],
)
def test_a_grant_ends_six_calendar_months_later(begun: tuple[int, int, int], ends: tuple[int, int, int]) -> None:
    """On the same day, or on the month's last."""
    assert end_of_grant(datetime(*begun, tzinfo=UTC)) == datetime(*ends, tzinfo=UTC)


def test_without_an_end_nobody_is_warned() -> None:
    """A connection whose provider names no end has no warning."""
    assert next_warning(None, datetime(2026, 11, 25, tzinfo=UTC)) is None
