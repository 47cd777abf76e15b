"""A graph and a program as users write them; the model behind both counts words."""

from __future__ import annotations

import os
import time
from typing import Any, TypedDict


class State(TypedDict, total=False):
    text: str
    fields: dict[str, str]
    labels: list[str]
    label: str
    confidence: float
    messages: list[Any]


def _found(text: str, labels: list[str]) -> tuple[str, float]:
    if text == "hang":
        time.sleep(60)
    if text == "die":
        os._exit(3)
    if text == "raise":
        raise RuntimeError(text)
    if text == "print":
        print("canary")  # noqa: T201  # as programs do
    if text == "secrets":
        return labels[0], 0.99 if any(name.startswith("RECOUP_") for name in os.environ) else 0.11  # noqa: TID251  # looks for secrets
    if text == "odd":
        return "pay_everything", 0.9
    counts = {label: text.lower().count(label.split("_", maxsplit=1)[0]) for label in labels}
    label = max(counts, key=counts.__getitem__)
    return label, 0.4 if not counts[label] else min(0.99, 0.7 + 0.1 * counts[label])


def _graph() -> Any:
    from langchain_core.messages import AIMessage  # noqa: PLC0415  # only the graph's process loads it
    from langgraph.graph import END, START, StateGraph  # noqa: PLC0415  # as above

    def classify(state: State) -> State:
        label, confidence = _found(state["text"], state["labels"])
        usage = {"input_tokens": 40, "output_tokens": 2, "total_tokens": 42}
        return {"label": label, "confidence": confidence, "messages": [AIMessage("", usage_metadata=usage)]}

    builder = StateGraph(State)
    builder.add_node("classify", classify)
    builder.add_edge(START, "classify")
    builder.add_edge("classify", END)
    return builder.compile()


def _program() -> Any:
    import dspy  # noqa: PLC0415  # only the program's process loads it

    class Classify(dspy.Module):  # type: ignore[misc]  # the library is not typed
        def forward(self, text: str, fields: dict[str, str], labels: list[str]) -> Any:
            del fields
            label, confidence = _found(text, labels)
            return dspy.Prediction(label=label, confidence=confidence)

    return Classify()


def __getattr__(name: str) -> Any:
    made = {"graph": _graph, "program": _program}
    if name not in made:
        raise AttributeError(name)
    return made[name]()
