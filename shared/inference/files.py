"""Model files in a folder, each read once, and trusted only after its hash has been checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shared.errors import InvariantBroken


class ModelGone(InvariantBroken):
    """A model file is no longer there: the manifest that named it is not the present one, or somebody took it away."""

    code = "model_gone"


def verified(path: Path, sha256: str) -> bytes:
    """The content of a file.

    Raises:
        ModelGone: there is no such file.
        InvariantBroken: it cannot be read, or is not the one of the manifest.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelGone(path=str(path)) from error
    except OSError as error:
        raise InvariantBroken("a model file cannot be read", path=str(path)) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise InvariantBroken("a model file is not the one of its manifest", path=str(path), found=digest, expected=sha256)
    return content
