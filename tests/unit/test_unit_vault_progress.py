"""How far a long command of the vault's is, on a terminal and elsewhere."""

import io
import sys

import pytest

from workers import vault
from workers.vault_progress import Bar


class Terminal(io.StringIO):
    """A standard error stream that somebody looks at."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn over itself, and never longer than it is."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    bar = Bar("rewrapped", 200)
    for count in (50, 150, 10):
        bar.add(count)
    bar.end()
    lines = shown.getvalue().rstrip("\n").split("\r")[1:]
    assert [line.count("#") for line in lines] == [8, 32, 32]
    assert all(line[33] == "]" for line in lines) and "rewrapped: 50 of 200" in lines[0]


def test_plain_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """No carriage returns in a log; the last figures are always there, also of nothing at all."""
    for total in (200, 0):
        bar = Bar("rewrapped", total)
        bar.add(total)
        bar.end()
    said = capsys.readouterr()
    assert [line.partition(",")[0] for line in said.err.splitlines()] == ["rewrapped: 200 of 200", "rewrapped: 0 of 0"]
    assert "\r" not in said.err and not said.out


@pytest.mark.parametrize("arguments", [[], ["destroy"], ["revoke"], ["status", "k1"], ["--rate", "canary", "rewrap"]])
def test_what_is_no_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with status 2 and says how it is used."""
    with pytest.raises(SystemExit) as ended:
        vault.parse(arguments)
    assert ended.value.code == 2 and "usage: python -m workers.vault" in capsys.readouterr().err
