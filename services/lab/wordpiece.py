"""Tokenisers of the transformer tiers: a teacher's with only the pieces that its texts need, or one learnt from the texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from services.lab import pieces

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_CONTINUED: Final = pieces.CONTINUED
# As `Features.as_document` writes fields.
_FIELD: Final = re.compile(r"[^\s=]+=\S+")
_MOST_FIELDS: Final = 1_000
_OFTEN: Final = 20


def learnt(texts: Iterable[str], size: int, max_tokens: int) -> Tokenizer:
    """A lower-casing WordPiece of its own, for tasks without a teacher. The same texts, in any order, give the same pieces.

    A field that often has the same value is one piece, ``band=small``, beyond ``size``: cut at its punctuation it would be five, and fields
    would take more of an encoder's time than the text.
    """
    texts = list(texts)
    normalizer, pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)))
    vocabulary = {piece: index for index, piece in enumerate([*_SPECIAL, *pieces.learnt(words, size - len(_SPECIAL))])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - not a password
    made.normalizer, made.pre_tokenizer = normalizer, pre_tokenizer
    sep, cls = ((name, _SPECIAL.index(name)) for name in ("[SEP]", "[CLS]"))
    made.post_processor = processors.BertProcessing(sep, cls)
    made.add_tokens([AddedToken(field, single_word=True, normalized=False) for field in _frequent_fields(texts)])
    made.enable_truncation(max_tokens)
    return made


def _frequent_fields(texts: Iterable[str]) -> list[str]:
    counts = Counter(word for text in texts for word in text.split() if _FIELD.fullmatch(word))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ranked[:_MOST_FIELDS] if counts[word] >= _OFTEN]


def pruned(teacher: Tokenizer, texts: Sequence[str], max_tokens: int, fewest: int = 1) -> tuple[Tokenizer, npt.NDArray[np.int64]]:
    """The teacher's pieces that occur in ``texts`` at least ``fewest`` times, with all single characters, so that no word becomes unknown.

    Returns:
        The tokeniser, and for each of its ids the id in the teacher's vocabulary.
    """
    state: dict[str, Any] = json.loads(teacher.to_str())
    known: dict[str, int] = state["model"]["vocab"]
    counts: Counter[int] = Counter()
    for found in teacher.encode_batch(list(texts)):
        counts.update(found.ids)
    kept = [
        (piece, index)
        for piece, index in sorted(known.items(), key=lambda item: item[1])
        if piece in _SPECIAL or len(piece.removeprefix(_CONTINUED)) == 1 or counts[index] >= fewest
    ]
    state["model"]["vocab"] = {piece: position for position, (piece, _) in enumerate(kept)}
    state["added_tokens"] = [
        {**token, "id": state["model"]["vocab"][token["content"]]} for token in state["added_tokens"] if token["content"] in _SPECIAL
    ]
    _renumber(state["post_processor"], state["model"]["vocab"])
    state["truncation"], state["padding"] = None, None
    made = Tokenizer.from_str(json.dumps(state))
    made.enable_truncation(max_tokens)
    return made, np.array([index for _, index in kept], dtype=np.int64)


def _renumber(processor: dict[str, Any], vocabulary: dict[str, int]) -> None:
    """Both kinds of post-processor that BERT tokenisers have keep the ids of their special tokens."""
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [vocabulary[name] for name in token["tokens"]]
    for end in ("sep", "cls"):
        if end in processor:
            processor[end] = [processor[end][0], vocabulary[processor[end][0]]]


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [found.ids for found in tokenizer.encode_batch(list(texts))]
