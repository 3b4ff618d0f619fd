"""Every promise of the privacy policy is measured, broken on purpose, seen to be broken, and seen to hold again."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.models.policies import POLICIES, current_of
from app.services.promises.listing import BINDS_NOBODY, PROMISES
from tests.flows.promises_broken import BREAKS
from tests.flows.promises_harness import ground
from tests.house import House, open_house, settings_env
from tools import embedded

SENTENCE = re.compile(r"(?<=[.:])(?<!e\.g\.) (?=[A-Z])")
"""Between two sentences of a line."""
ALSO = {
    "content-has-an-end": {"content-ends-by-its-own-time"},
    "portability-within-a-month": {"access-within-a-month"},
    "messages-30-days": {"expired-is-deleted"},
    "comments-30-days": {"expired-is-deleted"},
    "insights-24-months": {"expired-is-deleted"},
}
"""What a violation breaks with it: a message that is too old has expired, too."""


def test_every_sentence_that_binds_us_is_promised() -> None:
    """Each sentence of sections 2 to 11 is quoted by a promise, or promises nothing; and each quote stands there."""
    text = current_of(POLICIES).text
    sections = text[text.index("2. Information We Collect") : text.index("12. Contact Us")]
    lines = [line.removeprefix("- ") for line in sections.splitlines()]
    lines = [line for line in lines if not re.fullmatch(r"\d+(\.\d+)? [\w' ()&-]+|\d+\. [\w' ()&,-]+", line)]
    quotes = [*(promise.quote for promise in PROMISES), *BINDS_NOBODY]
    assert [quote for quote in quotes if quote not in text] == []
    sentences = [sentence for line in lines for sentence in SENTENCE.split(line)]
    assert len(sentences) > len(lines) + 5
    assert [one for one in sentences if not any(quote in one or one in quote for quote in quotes)] == []


def test_the_list_is_well_formed() -> None:
    """Stable ids, each once; every promise has a violation here, and every violation a promise."""
    ids = [promise.id for promise in PROMISES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) and len(name) <= 40 for name in ids)
    assert set(ids) == BREAKS.keys()


@pytest.fixture
async def lasting_house(
    tmp_path: Path, redis_url: str, key_folder: Path, postbox: str, smtp_url: str
) -> AsyncIterator[House]:
    """A house in whose database nothing that has expired is deleted while a test looks."""
    with embedded.mongodb(tmp_path / "lasting", ttl_sweep_s=3600) as url:
        env = settings_env(key_folder, mongodb_url=url, redis_url=redis_url, smtp_url=smtp_url)
        async with open_house(env, postbox_url=postbox) as found:
            yield found


@pytest.mark.timeout(300)
async def test_each_promise_is_broken_and_holds_again(lasting_house: House, tmp_path: Path) -> None:
    """One violation of each: exactly its promise is false, and true again once it is gone."""
    wrong: dict[str, object] = {}
    async with ground(lasting_house, tmp_path) as on:
        assert await on.broken() == {}
        for promise in PROMISES:
            await BREAKS[promise.id](on)
            broken = await on.broken()
            if broken.keys() != {promise.id} | ALSO.get(promise.id, set()):
                wrong[promise.id] = broken
            await on.heal()
            if rest := await on.broken(*broken):
                wrong[f"{promise.id}, healed"] = rest
    assert wrong == {}
