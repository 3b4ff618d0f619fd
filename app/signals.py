"""Global Privacy Control: a browser that says `Sec-GPC: 1` says no to being counted and marketed to."""

from typing import Annotated

from fastapi import Depends, Header


async def get_gpc(sec_gpc: Annotated[str | None, Header(include_in_schema=False)] = None) -> bool:
    """Whether this request said `Sec-GPC: 1` (W3C, Global Privacy Control: any other value says nothing)."""
    return sec_gpc is not None and sec_gpc.strip() == "1"


GpcDep = Annotated[bool, Depends(get_gpc)]
