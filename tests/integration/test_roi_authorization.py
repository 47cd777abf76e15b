"""Every question of the ROI API, every role, and the tenant next door: new questions are asked here without being named."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from services.steward import service
from shared.clock import SystemClock
from tests.horizon import roll_up
from tests.integration.facts import add_key
from tests.roi_world import Board

if TYPE_CHECKING:
    from httpx2 import Response


NOW = SystemClock().now().replace(minute=0, second=0, microsecond=0)
# For what has no default; what a question does not know it leaves aside.
ASKED = {
    "from": (NOW - timedelta(days=20)).isoformat(),
    "to": (NOW + timedelta(hours=1)).isoformat(),
    "earlier": (NOW - timedelta(days=10)).isoformat(),
    "automation": "claims",
    "investment": "1000",
}
SEALS = {"from": "1", "to": "1"}
# When it was asked and sealed, and what hangs on that.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?|[0-9a-f]{64}")


def _paths(board: Board) -> list[str]:
    paths = board.application.openapi()["paths"]
    assert all(set(methods) == {"get"} for methods in paths.values())
    return sorted(paths)


def _ask(board: Board, path: str, token: str | None, line: object = "01890000-0000-7000-8000-000000000000") -> Response:
    url = path.replace("{n}", "1").replace("{id}", str(line))
    parameters = SEALS if path.endswith("consistency") else ASKED
    headers = {"Authorization": "" if token is None else f"Bearer {token}"}
    return board.client.get(url, params=parameters, headers=headers)


def test_executives_operators_and_admins_are_answered_and_nobody_else(board: Board) -> None:
    tokens = {role: add_key(board.line, "acme", role) for role in ("executive", "operator", "admin", "integrator")}
    refused = {"integrator": 403, None: 401, "rk_nobody_x": 401}
    for path in _paths(board):
        for role, token in (tokens | {"rk_nobody_x": "rk_nobody_x", None: None}).items():
            status = _ask(board, path, token).status_code
            if role in refused:
                assert status == refused[role], (path, role)
            else:
                # There is no seal and no line of that name, and nothing to plan from.
                assert status in {200, 404, 409}, (path, role, status)


def test_what_others_did_changes_no_answer(board: Board) -> None:
    token = add_key(board.line, "other", "executive")
    service.seal_ledger(board.line)
    before = _answers(board, token)
    cases = board.work(["90", "110"] * 40)
    board.rate("labour_hour", "61")
    roll_up(board.line)
    service.seal_ledger(board.line)
    assert len(cases) == 80
    assert board.ask("summary")["total"]["cases"]["total"] == 80
    assert _answers(board, token) == before
    ((booked,),) = board.rows("SELECT id FROM ledger_lines WHERE tenant_id = 'acme' LIMIT 1")
    proof = "/v1/roi/ledger/lines/{id}/proof"
    assert _ask(board, proof, token, booked).status_code == 404
    assert _ask(board, proof, add_key(board.line, "acme", "executive"), booked).status_code == 200


def _answers(board: Board, token: str) -> dict[str, tuple[int, str]]:
    """By question; pages and workbooks hold what the answers hold."""
    asked = {path: _ask(board, path, token) for path in _paths(board) if not path.endswith((".pdf", "seals"))}
    return {path: (answer.status_code, _MOMENT.sub("…", answer.text)) for path, answer in asked.items()}


def test_a_tenant_seals_its_own(board: Board) -> None:
    board.work(["90"] * 20)
    roll_up(board.line)
    service.seal_ledger(board.line)
    ((size,),) = board.rows("SELECT max(size) FROM ledger_seals WHERE tenant_id = 'acme'")
    assert size > 0
    (seal,) = _ask(board, "/v1/roi/ledger/seals", add_key(board.line, "other", "executive")).json()["items"]
    assert seal["size"] == 0
