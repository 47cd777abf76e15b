"""JMESPath whose work and results are bounded: `[@,@]|[@,@]|…` doubles a payload at every step, and a mapping is somebody's text.

Whatever an expression makes is charged as if it were a copy, because a list that holds one value twice is cheap to make and dear to write
down, to compare and to search.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import jmespath
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

# Of one payload: three times what six fields of each of 8,000 small objects take, and about a second of a slow core.
BUDGET: Final = 16_000_000
_STEP: Final = 32
# Of a value beside its characters: a reference, and what stands around it when it is written down.
_VALUE: Final = 8
# What makes values that were not there before; all others hand on what they are given.
_MAKERS: Final = frozenset(
    {
        "multi_select_list", "multi_select_dict", "flatten", "projection", "filter_projection", "value_projection", "slice",
        "function_expression",
    }
)  # fmt: skip


class TooCostly(ValueError):
    """Expressions make more of one payload than `BUDGET` allows."""


def compiled(text: str) -> ParsedResult:
    """Raises JMESPathError, or RecursionError where it is nested too deep."""
    return jmespath.compile(text)


class Budget:
    """What is left of `BUDGET` for one payload, whatever the number of expressions."""

    def __init__(self) -> None:
        self._left = BUDGET

    def charge(self, units: int) -> None:
        """Raises TooCostly."""
        self._left -= units
        if self._left < 0:
            raise TooCostly


def search(expression: ParsedResult, payload: object, budget: Budget) -> object:
    """What the expression finds.

    Raises:
        TooCostly: it takes more steps, or makes more, than is left.
        JMESPathError, ValueError, TypeError, ArithmeticError, RecursionError: as the library does.
    """
    return _Interpreter(budget).visit(expression.parsed, payload)


class _Interpreter(TreeInterpreter):
    def __init__(self, budget: Budget) -> None:
        super().__init__(Options(custom_functions=_Functions(self)))
        self.charge = budget.charge
        # Weights by identity, with the value itself, so that no other one gets its identity.
        self._known: dict[int, tuple[object, int]] = {}

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.charge(_STEP)
        found = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKERS:
            self.charge(self.weight(found))
        return found

    def weight(self, value: object) -> int:
        """Characters and members, each as often as it would be written down."""
        if isinstance(value, str):
            return _VALUE + len(value)
        if not isinstance(value, list | dict):
            return _VALUE
        known = self._known.get(id(value))
        if known is None:
            members = [*value, *value.values()] if isinstance(value, dict) else value
            known = self._known[id(value)] = (value, _VALUE + sum(map(self.weight, members)))
        return known[1]


class _Functions(Functions):
    def __init__(self, interpreter: _Interpreter) -> None:
        self._interpreter = interpreter

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """Charged before it runs: for what it reads, and `join` for the separators that it would write."""
        arguments = list(resolved_args)
        self._interpreter.charge(sum(map(self._interpreter.weight, arguments)))
        match function_name, arguments:
            case "join", [str() as separator, list() as parts]:
                self._interpreter.charge(len(separator) * len(parts))
        return super().call_function(function_name, arguments)
