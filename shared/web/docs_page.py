"""The page `/docs`, on which people type in API keys: its script is pinned by its digest, and may talk to this server alone."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from fastapi import FastAPI

# Digests of the files in the package swagger-ui-dist of this version: whatever else comes from there is not run.
_BASE: Final = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
_SCRIPT: Final = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_STYLE: Final = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_START: Final = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});'
_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{_BASE}/swagger-ui.css" integrity="{_STYLE}" crossorigin="anonymous">
<title>TITLE</title>
</head>
<body>
<div id="api"><p>This page takes its script from cdn.jsdelivr.net and cannot reach it. What it shows is in <a href="openapi.json">openapi.json</a>.</p></div>
<script src="{_BASE}/swagger-ui-bundle.js" integrity="{_SCRIPT}" crossorigin="anonymous"></script>
<script>{_START}</script>
</body>
</html>
"""  # noqa: E501  # a line of the page
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_BASE}/swagger-ui-bundle.js 'sha256-{b64encode(sha256(_START.encode()).digest()).decode()}'",
        # The script sets styles on elements.
        f"style-src {_BASE}/swagger-ui.css 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def install(app: FastAPI) -> None:
    """Args: app: made without FastAPI's own pages, which run whatever version of their scripts is the newest."""
    page = _PAGE.replace("TITLE", escape(app.title))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})
