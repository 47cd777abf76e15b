"""A mapping is somebody's text: it may not make more of a payload than a gateway can hold."""

from __future__ import annotations

import pytest

from shared.events.mapping import MappingFailed, compiled

ITEMS = [{"a": number, "b": "x", "c": [1, 2]} for number in range(8000)]


def _data(expression: str, payload: object) -> object:
    mapping = compiled({"data": expression})
    return mapping.event(payload, message_id="msg_1", source="/sources/erp", event_type="com.recoup.claim.filed.v1").data


def _problem(refusal: MappingFailed) -> str:
    errors = refusal.context["errors"]
    assert isinstance(errors, list)
    return str(errors[0]["problem"])


@pytest.mark.parametrize(
    ("expression", "payload"),
    [
        ("|".join(["[@,@]"] * 20), {"a": "x"}),
        ("|".join(["{a: @, b: @}"] * 20), {"a": "x"}),
        ("|".join(["[@,@][]"] * 20), {"a": "x"}),
        ("|".join(["[@,@]"] * 20) + "|length(to_string(@))", {"a": "x"}),
        ("|".join(["join('',[to_string(@),to_string(@)])"] * 20) + "|length(@)", {"a": "x"}),
        ("join(s, p)|length(@)", {"s": "x" * 5000, "p": ["y"] * 5000}),
        ("map(&[@,@,@,@,@,@,@,@,@,@], @)|map(&[@,@,@,@,@,@,@,@,@,@], @)|length(@)", ["x" * 100] * 2000),
        ("|".join(["sort_by(@,&a)"] * 20) + "|[0]", ITEMS),
    ],
)
def test_an_expression_that_makes_too_much_is_refused(expression: str, payload: object) -> None:
    with pytest.raises(MappingFailed) as refused:
        _data(expression, payload)
    assert _problem(refused.value).endswith("makes too much of this payload")


def test_the_expressions_of_a_source_share_what_one_payload_may_cost() -> None:
    dear = "[*].{a:a,b:b,c:c,d:a,e:b,f:c,g:a,h:b}|length(@)"
    assert compiled({"subject": dear}).event(ITEMS, message_id="m", source="/s", event_type="t.v1").subject == "8000"
    with pytest.raises(MappingFailed) as refused:
        compiled(dict.fromkeys(("id", "time", "subject", "data"), dear)).event(ITEMS, message_id="m", source="/s", event_type="t.v1")
    assert _problem(refused.value).endswith("makes too much of this payload")


def test_the_largest_payload_may_be_taken_apart_and_put_together_again() -> None:
    found = _data("{items: [*].{a: a, b: b, c: c, d: a, e: b, f: c}, first: [0], last: [-1]}", ITEMS)
    assert found == {"items": [{**i, "d": i["a"], "e": i["b"], "f": i["c"]} for i in ITEMS], "first": ITEMS[0], "last": ITEMS[-1]}


@pytest.mark.parametrize("expression", ["!" * 1500 + "a", "(" * 900 + "a" + ")" * 900, "`" + "[" * 990 + "]" * 990 + "`"])
def test_an_expression_that_is_nested_too_deep_is_refused_when_it_is_read(expression: str) -> None:
    with pytest.raises(MappingFailed) as refused:
        compiled({"id": expression})
    assert _problem(refused.value).endswith("is nested too deep")
