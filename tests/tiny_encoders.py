"""Encoders of drawn weights, small enough to be computed by hand beside, and a folder with one as transformers writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from services.lab import bert
from services.lab.wordpiece import learnt


def encoder_weights(shape: bert.Shape, words: int, places: int) -> dict[str, npt.NDArray[np.float32]]:
    draws = np.random.default_rng(5)
    width = shape.width
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words, width),
        "embeddings.position_embeddings.weight": (places, width),
        "embeddings.token_type_embeddings.weight": (1, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
    }
    for layer in (f"encoder.layer.{index}" for index in range(shape.layers)):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            sizes |= {f"{layer}.{part}.weight": (width, width), f"{layer}.{part}.bias": (width,)}
        sizes |= {f"{layer}.intermediate.dense.weight": (shape.units, width), f"{layer}.intermediate.dense.bias": (shape.units,)}
        sizes |= {f"{layer}.output.dense.weight": (width, shape.units), f"{layer}.output.dense.bias": (width,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes |= {f"{layer}.{part}.weight": (width,), f"{layer}.{part}.bias": (width,)}
    return {name: draws.normal(0, 0.5, size).astype(np.float32) for name, size in sizes.items()}


def write_encoder(folder: Path, texts: Sequence[str], shape: bert.Shape) -> None:
    """With a tokenizer that is learnt from ``texts``."""
    folder.mkdir()
    tokenizer = learnt(texts, 300, 64)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"num_hidden_layers": shape.layers, "hidden_size": shape.width, "num_attention_heads": shape.heads}
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": shape.units}), encoding="utf-8")
    save_file(encoder_weights(shape, tokenizer.get_vocab_size(), 64), folder / "model.safetensors")
