"""The models of packs in one folder, as scorers; a file that several packs name is loaded once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shared.automations.pack import Artefact, Pack, TierModel, Variant, render
from shared.errors import InvariantBroken
from shared.inference.processor import processor
from shared.inference.scorers import BinnedScorer, DocumentTokenizer, LinearScorer, Scorer, TransformerScorer, TreesScorer
from shared.inference.session import Session


class Models:
    """Args: variant: of the artefacts to run; by default what this processor is best at, probed where a pack has a choice."""

    def __init__(self, folder: Path, variant: Variant | None = None) -> None:
        self._folder, self._wanted = folder, variant
        self._sessions: dict[str, Session] = {}
        self._tokenizers: dict[tuple[str, int], DocumentTokenizer] = {}

    def variant(self, pack: Pack) -> Variant:
        if self._wanted is not None:
            return self._wanted
        has_choice = any(artefact.variant != "any" for tier in pack.tiers for artefact in tier.artefacts)
        return processor().variant if has_choice else "any"

    def scorer(self, pack: Pack, tier: TierModel) -> Scorer:
        """The model of one tier alone, without what its pack mixes in. It is shown fields as they are, and bins them where it must.

        Raises:
            InvariantBroken: there is no artefact for this processor. Files are read, and may be refused, at first use.
        """
        session = self._session(tier.artefact(self.variant(pack)))
        if tier.kind == "trees":
            return TreesScorer(session, tier.output, tier.columns)
        if tier.kind == "linear":
            made: Scorer = LinearScorer(session, tier.output, tier.buckets, tier.letters)
        else:
            made = self._transformer(session, tier)
        return BinnedScorer(made, pack.bins, pack.numbers) if pack.bins or pack.numbers else made

    def _transformer(self, session: Session, tier: TierModel) -> Scorer:
        return TransformerScorer(session, tier.output, self._tokenizer(tier))

    def digest(self, pack: Pack) -> str:
        """Of everything that the answers of these tiers depend on, beside the input: files, thresholds, labels, variant."""
        return hashlib.sha256(f"{self.variant(pack)}\n{render([pack])}".encode()).hexdigest()

    def _session(self, artefact: Artefact) -> Session:
        known = self._sessions.get(artefact.sha256)
        if known is None:
            known = self._sessions[artefact.sha256] = Session(self._folder / artefact.file, artefact.sha256)
        return known

    def _tokenizer(self, tier: TierModel) -> DocumentTokenizer:
        if tier.tokenizer is None:
            raise InvariantBroken("a tier lacks what its kind needs", tier=tier.name)
        key = (tier.tokenizer.sha256, tier.max_tokens)
        known = self._tokenizers.get(key)
        if known is None:
            known = self._tokenizers[key] = DocumentTokenizer(self._folder / tier.tokenizer.file, tier.tokenizer.sha256, tier.max_tokens)
        return known
