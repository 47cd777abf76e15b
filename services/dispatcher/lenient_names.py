"""Reads Kafka records whose header names are not UTF-8, which the client calls corrupt: that would stop their partition for ever."""

from __future__ import annotations

from typing import Any

from kafka.record.default_records import DefaultRecordBatch

_strictly = DefaultRecordBatch._read_msg  # noqa: SLF001  # it has no other place


class _Lenient(bytearray):
    """Text that is none is written with escapes."""

    def __getitem__(self, key: Any, /) -> Any:
        found = super().__getitem__(key)
        return found if isinstance(found, int) else _Lenient(found)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        del errors
        return super().decode(encoding, "backslashreplace")


def _read(batch: Any) -> Any:
    try:
        return _strictly(batch)
    except UnicodeDecodeError:
        # The position is as it was before; only such records are read by the slow way.
        kept, batch._buffer = batch._buffer, _Lenient(batch._buffer)  # noqa: SLF001
        try:
            return _strictly(batch)
        finally:
            batch._buffer = kept  # noqa: SLF001


def read_any_header_name() -> None:
    """From now on, in this process."""
    DefaultRecordBatch._read_msg = _read  # noqa: SLF001
