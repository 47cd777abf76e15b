"""Turns a webhook's payload into an event by the JMESPath expressions of its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson
from jmespath.exceptions import JMESPathError

from shared.errors import Malformed, Rejected
from shared.events import bounded_jmespath
from shared.events.attributes import Fault, checked
from shared.events.parse import structured

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult

    from shared.events.bounded_jmespath import Budget
    from shared.events.envelope import Event

_NAMES: Final = ("id", "data", "time", "subject")


class MappingFailed(Rejected):
    """The mapping of this source does not fit the payload; `errors` says which expression."""

    code = "mapping_failed"


def source_uri(name: str) -> str:
    """The CloudEvents ``source`` of the events of a webhook source."""
    return f"/sources/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    compiled: ParsedResult


@dataclass(frozen=True, slots=True)
class PayloadMapping:
    """Compiled once for each source; an absent expression means: the webhook-id, the whole payload, no time, no subject."""

    expressions: Mapping[str, Expression]

    def event(self, payload: object, *, message_id: str, source: str, event_type: str) -> Event:
        """The event in a payload.

        Raises:
            MappingFailed: its ``errors`` name the expression.
        """
        budget = bounded_jmespath.Budget()
        attributes = {
            "specversion": "1.0",
            "source": source,
            "type": event_type,
            "id": self._id(payload, message_id, budget),
            "time": self._time(payload, budget),
            "subject": self._text("subject", payload, budget),
        }
        data = self._found("data", payload, budget) if "data" in self.expressions else payload
        try:
            # Read again, because functions in expressions can build what JSON cannot carry.
            return structured(checked(attributes, data).canonical())
        except Malformed as error:
            raise MappingFailed(errors=error.context.get("errors", [Fault(field="data", problem=error.message)])) from None
        except orjson.JSONEncodeError:
            raise self._failed("data", "gives a value that JSON cannot carry") from None

    def _id(self, payload: object, message_id: str, budget: Budget) -> str:
        if "id" not in self.expressions:
            return message_id
        text = self._text("id", payload, budget)
        if not text:
            raise self._failed("id", "finds nothing in this payload")
        return text

    def _text(self, name: str, payload: object, budget: Budget) -> str | None:
        """A string, or a whole number as one."""
        found = self._found(name, payload, budget) if name in self.expressions else None
        if found is None or isinstance(found, str):
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        raise self._failed(name, "must give a string or a whole number")

    def _time(self, payload: object, budget: Budget) -> object:
        """RFC 3339 text, or whole seconds since 1970."""
        found = self._found("time", payload, budget) if "time" in self.expressions else None
        if isinstance(found, bool) or not isinstance(found, int | str | None):
            raise self._failed("time", "must give an RFC 3339 time or whole seconds since 1970")
        if not isinstance(found, int):
            return found
        try:
            return datetime.fromtimestamp(found, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            raise self._failed("time", "gives seconds outside the calendar") from None

    def _found(self, name: str, payload: object, budget: Budget) -> object:
        try:
            return bounded_jmespath.search(self.expressions[name].compiled, payload, budget)
        except bounded_jmespath.TooCostly:
            raise self._failed(name, "makes too much of this payload") from None
        except (JMESPathError, ValueError, TypeError, ArithmeticError, RecursionError):
            raise self._failed(name, "cannot be applied to this payload") from None

    def _failed(self, name: str, problem: str) -> MappingFailed:
        expression = self.expressions.get(name)
        shown = f"the expression `{expression.text}` {problem}" if expression is not None else problem
        return MappingFailed(errors=[Fault(field=name, problem=shown)])


def compiled(expressions: Mapping[str, str | None] | None) -> PayloadMapping:
    """The mapping of a row in ``sources``.

    Raises:
        MappingFailed: an expression is not valid JMESPath.
    """
    present = {name: text for name, text in (expressions or {}).items() if name in _NAMES and text}
    return PayloadMapping({name: Expression(text, _compiled(name, text)) for name, text in present.items()})


def _compiled(name: str, text: str) -> ParsedResult:
    try:
        return bounded_jmespath.compiled(text)
    except (JMESPathError, RecursionError) as error:
        problem = "is nested too deep" if isinstance(error, RecursionError) else "is not valid JMESPath"
        fault = Fault(field=name, problem=f"the expression `{text}` {problem}")
        raise MappingFailed("The mapping of this source is not valid; correct the source.", errors=[fault]) from None
