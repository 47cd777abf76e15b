"""The mapping lives in `shared.events.mapping`: the operators' API tries mappings out with the same code."""

from shared.events.mapping import MappingFailed, PayloadMapping, compiled

__all__ = ["MappingFailed", "PayloadMapping", "compiled"]
