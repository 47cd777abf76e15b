"""The JavaScript that review pages load; no secret is in it, so pages of any origin may."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

router = APIRouter(prefix="/static", include_in_schema=False)

_WORKTIME: Final = files("services.ops.pages").joinpath("worktime.js").read_bytes()
_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    # Asked for again with each page, answered with its content only where it has changed.
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "ETag": f'"{sha256(_WORKTIME).hexdigest()[:32]}"',
    "X-Content-Type-Options": "nosniff",
}


@router.get("/worktime.js")
async def worktime(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    if if_none_match == _HEADERS["ETag"]:
        return Response(status_code=304, headers=_HEADERS)
    return Response(_WORKTIME, media_type="text/javascript; charset=utf-8", headers=_HEADERS)
