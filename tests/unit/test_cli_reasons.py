"""Why an API refuses is told by commands in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.cli.ops_api import reason

FAULTS = [{"field": f"body.{name}", "problem": "is missing"} for name in ("a", "b", "c", "d", "e")]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({"detail": "No such API key."}, "No such API key."),
        ({"detail": "No.", "errors": FAULTS[:2]}, "No. (body.a: is missing; body.b: is missing)"),
        ({"detail": "No.", "errors": FAULTS}, "No. (body.a: is missing; body.b: is missing; body.c: is missing; and 2 more)"),
        (
            {"detail": "This key lacks the role.", "needs": ["operator", "admin"]},
            "This key lacks the role. (needs one of the roles operator, admin)",
        ),
    ],
)
def test_faults_and_roles_stand_behind_the_sentence(problem: dict[str, Any], said: str) -> None:
    assert reason(httpx.Response(422, json=problem)) == said


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"errors": []}', b'{"detail": "x", "errors": ["y"]}'])
def test_what_is_no_answer_of_ours_is_named_by_its_status(content: bytes) -> None:
    assert reason(httpx.Response(502, content=content)) == "Bad Gateway"
