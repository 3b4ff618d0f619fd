"""Secrets in the clear, on their way from the vault into one call."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from app.models.features import UsedFor


class WrongUse(Exception):
    """A call tried to use a secret that was opened for something else: a mistake of ours."""


class Opened:
    """A secret in the clear, for the one function that uses it. It cannot be printed, copied or pickled.

    It knows what it was opened for, and every call says what it is for: a token of one feature serves no other.
    """

    __slots__ = ("__still", "__value", "used_for")

    def __init__(self, value: str, used_for: UsedFor, still: Callable[[], Awaitable[None]] | None = None) -> None:
        self.__value, self.used_for, self.__still = value, used_for, still

    async def confirm(self) -> None:
        """Ask, right before a call, whether it may still be used; raises what `still` raises when it may not."""
        if self.__still is not None:
            await self.__still()

    def reveal(self, *uses: UsedFor) -> str:
        """The secret itself, for one of these uses. Raises `WrongUse`."""
        if self.used_for not in uses:
            raise WrongUse(f"opened for {self.used_for}, wanted for {' or '.join(uses)}")
        return self.__value

    def __repr__(self) -> str:
        return f"Opened({self.used_for}, **********)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an opened secret stays where it was opened")
