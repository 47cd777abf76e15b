"""One ONNX graph in one process: verified, single-threaded, created where it runs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from shared.errors import InvariantBroken
from shared.inference.files import verified


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Processes are the parallelism. Spinning threads cost five times the CPU of the inference itself.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Shapes differ in every batch, and a memory pattern would be kept for each of them. An arena takes a sixth off ten tokens in MiniLM and
    # a twentieth off ninety, and after 1,200 documents of any length it holds 32 MB where the C library's heap holds 50.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = True
    # Weights never come back: in the arena they would make it grow by doubling.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.log_severity_level = 3
    return options


# One fused step of adding and normalising takes 275 µs for ninety tokens, 384 wide; the two that it replaces take 60. Without it MiniLM in
# int8 needs a tenth less CPU time, and a mini a sixth.
_SLOWER_FUSIONS: Final = ("SkipLayerNormFusion",)


def opened(content: bytes) -> onnxruntime.InferenceSession:
    """A session over this graph, for this process."""
    made = onnxruntime.InferenceSession(
        content, sess_options=_options(), providers=["CPUExecutionProvider"], disabled_optimizers=list(_SLOWER_FUSIONS)
    )
    # It would keep the file for another attempt with other providers, of which there are none: 14 MB of a worker's 150.
    made._model_bytes = None  # noqa: SLF001 - there is no public way to let go of it
    _give_back_memory()
    return made


def _give_back_memory() -> None:
    """What reading a graph took and freed: the C library would keep 7 MB of it for each encoder. Only glibc has this."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Session:
    """Created on first use, because a session does not survive a fork.

    Raises:
        InvariantBroken: the file is missing or is not the one of the manifest, or a session crossed a fork.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self._path, self._sha256 = path, sha256
        self._session: onnxruntime.InferenceSession | None = None
        self._pid = 0

    def run(self, inputs: Mapping[str, npt.NDArray[Any]], output: str) -> npt.NDArray[np.float32]:
        return np.asarray(self._mine().run([output], dict(inputs))[0], dtype=np.float32)

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the graph's inputs."""
        return [found.name for found in self._mine().get_inputs()]

    def width(self, output: str) -> int:
        """Length of the last axis of an output.

        Raises:
            InvariantBroken: the graph has no such output, or leaves its width open.
        """
        shapes = {found.name: found.shape for found in self._mine().get_outputs()}
        width = shapes[output][-1] if shapes.get(output) else None
        if not isinstance(width, int):
            raise InvariantBroken("a graph has no such output of known width", path=str(self._path), output=output)
        return width

    def _mine(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            self._session, self._pid = opened(verified(self._path, self._sha256)), os.getpid()
        if self._pid != os.getpid():
            raise InvariantBroken("a model session crossed a fork", created=self._pid, used=os.getpid())
        return cast("onnxruntime.InferenceSession", self._session)
