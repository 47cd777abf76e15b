"""Reads documents as JSON lines from standard input, has a program of the user's decide them, and writes one line for each answer.

A process of its own: the program gets none of the worker's secrets and may be ended at any moment, its libraries take no memory of the
worker's, and what it prints goes nowhere, because it may print documents.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

Answer = dict[str, Any]
Program = Callable[[Mapping[str, Any], Sequence[str]], Answer]


def langgraph(graph: Any) -> Program:
    """A compiled graph: it gets ``text``, ``fields`` and ``labels`` in its state and leaves ``label`` and ``confidence`` there.

    Tokens are those of the messages in ``messages``, where there are any.
    """

    def answer(document: Mapping[str, Any], labels: Sequence[str]) -> Answer:
        state = graph.invoke({"text": document["text"], "fields": document["fields"], "labels": list(labels)})
        used = [message.usage_metadata for message in state.get("messages", ()) if getattr(message, "usage_metadata", None)]
        tokens = [sum(int(usage[name]) for usage in used) for name in ("input_tokens", "output_tokens")]
        return {"label": state["label"], "confidence": float(state["confidence"]), "tokens": tokens if used else None}

    return answer


def dspy(program: Any) -> Program:
    """A program: it is called with ``text``, ``fields`` and ``labels`` and gives a prediction with ``label`` and ``confidence``."""
    library = importlib.import_module("dspy")
    library.configure(track_usage=True)

    def answer(document: Mapping[str, Any], labels: Sequence[str]) -> Answer:
        prediction = program(text=document["text"], fields=document["fields"], labels=list(labels))
        used = (prediction.get_lm_usage() or {}).values()
        tokens = [sum(int(usage.get(name) or 0) for usage in used) for name in ("prompt_tokens", "completion_tokens")]
        return {"label": prediction.label, "confidence": float(prediction.confidence), "tokens": tokens if used else None}

    return answer


KINDS: Mapping[str, Callable[[Any], Program]] = {"langgraph": langgraph, "dspy": dspy}


def serve(program: Program, documents: TextIO, answers: TextIO) -> None:
    """Says that it is there, then answers until the input ends.

    An exception is an answer too, by its class alone: its text may hold the document.
    """
    answers.write("{}\n")
    answers.flush()
    for line in documents:
        asked = json.loads(line)
        try:
            answer = program(asked["document"], asked["labels"])
        except Exception as error:  # noqa: BLE001 - a program of the user's, and the next document is not to suffer from it
            answer = {"error": type(error).__name__}
        answers.write(json.dumps({"number": asked["number"], **answer}) + "\n")
        answers.flush()


def main(kind: str, target: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    module, _, attribute = target.partition(":")
    serve(KINDS[kind](getattr(importlib.import_module(module), attribute)), sys.stdin, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
