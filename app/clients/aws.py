"""AWS's clients as we open them: with the first call, once a process, with short time-outs and its own retries."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

CONNECT_S, ATTEMPTS = 2, 3


class Opening:
    """One service's client, which is opened when it is asked for first."""

    def __init__(self, service: str, *, read_s: float, where: dict[str, str | None], **more: Any) -> None:
        self._service, self._where = service, where
        self._config = AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            max_pool_connections=20,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},  # with jitter, and a budget
            **more,
        )
        self._opened = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: Any = None

    async def client(self) -> Any:
        """The client. Raises `BotoCoreError` for a configuration that will not do."""
        async with self._opening:
            if self._client is None:
                making = get_session().create_client(self._service, config=self._config, **self._where)
                self._client = await self._opened.enter_async_context(making)
            return self._client

    async def close(self) -> None:
        """Close its connections."""
        await self._opened.aclose()
