"""What a transformer tier reads of a case: one text. Lab and worker must make it alike: what is here is part of every such model."""

from __future__ import annotations

from typing import Final

from shared.automations.contract import Features

# Tokenising is linear in the text, and no tier reads more than 512 tokens: about 2,500 characters of English.
MAX_CHARACTERS: Final = 6_000


def as_text(features: Features) -> str:
    """Fields by name, then the text: ``band: small, kind: glass | The windscreen …``; only what is there."""
    fields = ", ".join(f"{name}: {value}" for name, value in sorted(features.fields.items()))
    return " | ".join(part for part in (fields, features.text) if part)[:MAX_CHARACTERS]
