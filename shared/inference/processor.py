"""Which artefacts this processor should run: decided by what its integer arithmetic does, not by its name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from shared.automations.pack import Variant
from shared.inference.session import opened

# One MatMulInteger of uint8 by int8, written by `onnx`, which the worker does not have; `tests/unit/test_inference.py` writes it again.
PROBE: Final = (
    b'\x08\n:b\n\x18\n\x01a\n\x01b\x12\x01c"\rMatMulInteger\x12\x01pZ\x15\n\x01a\x12\x10\n\x0e\x08\x02\x12\n\n\x03\x12\x01m\n\x03\x12\x01k'
    b"Z\x15\n\x01b\x12\x10\n\x0e\x08\x03\x12\n\n\x03\x12\x01k\n\x03\x12\x01nb\x15\n\x01c\x12\x10\n\x0e\x08\x06\x12\n\n\x03\x12\x01m\n\x03\x12"
    b"\x01nB\x04\n\x00\x10\x12"
)
_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Processor:
    """What the probe found.

    Attributes:
        variant: of the artefacts to run.
        seconds: what probing took.
    """

    variant: Variant
    seconds: float


@cache
def processor() -> Processor:
    """Probe once per process, in a few milliseconds.

    Instructions without 8-bit dot products add pairs of products in 16 bits and saturate: the largest numbers then give a wrong sum. There
    full-range int8 is both slower and less exact than 7-bit weights. With VNNI, or dot products on ARM, the sum is right.
    """
    started = time.perf_counter()
    inputs = {"a": np.full((4, _DEPTH), 255, dtype=np.uint8), "b": np.full((_DEPTH, 16), 127, dtype=np.int8)}
    sums = np.asarray(opened(PROBE).run(["c"], inputs)[0])
    return Processor(variant_of(int(sums[0, 0])), time.perf_counter() - started)


def variant_of(total: int) -> Variant:
    """Of the sum that the probe got for 64 products of 255 and 127."""
    return "vnni" if total == 255 * 127 * _DEPTH else "portable"
