"""The texts of a store that a language model learns from, with or without targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.catalogue import find_generator
from featurestore.session import Session
from featurestore.texts.variants import parse_variant
from train.encoders.folds import Folds, encoder_folds
from train.encoders.text.corpus import first_materials
from train.encoders.text.vocabulary import check_texts

_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Sentences:
    """Texts to learn a language from; n rows, one for each structure and source.

    Parameters
    ----------
    generator_ids : tuple of str
    structure_ids, texts : list of str
        Of each row.
    material_ids : dict of str to str
        The first material of each structure.
    folds : Folds
        Of the structures.
    """

    generator_ids: tuple[str, ...]
    structure_ids: list[str]
    texts: list[str]
    material_ids: dict[str, str]
    folds: Folds

    def of(self, fold: str) -> list[str]:
        """The distinct texts of a fold, in order."""
        rows = zip(self.structure_ids, self.texts, strict=True)
        return list(dict.fromkeys(text for one, text in rows if self.folds.of[one] == fold))

    def materials(self, fold: str) -> list[str]:
        """The materials of a fold."""
        return sorted(self.material_ids[one] for one in self.folds.members(fold))


def stored_sentences(
    session: Session,
    sources: Sequence[str],
    *,
    variant: str = "full",
    hold_out: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
) -> Sentences:
    """Read the texts of sources; arguments as for `stored_corpus`.

    Raises
    ------
    UnknownNameError
        If a source or split is unknown.
    MissingDataError
        If there are fewer than 20 texts to learn from.
    """
    generators = [find_generator(session, source) for source in sources]
    found: list[tuple[str, str]] = []
    for generator in generators:
        kept = str(parse_variant(variant, generator.tags, generator.reference_tags))
        rows = session.query(
            "SELECT structure_id, text FROM texts(?, variant := ?) ORDER BY structure_id",
            [generator.generator_id, kept],
        )
        pairs = zip(rows["structure_id"].to_pylist(), rows["text"].to_pylist(), strict=True)
        found += [(one, text) for one, text in pairs if text]
    check_texts([text for _, text in found])
    ids = sorted({one for one, _ in found})
    found = _limited(found, ids, limit, seed)
    ids = sorted({one for one, _ in found})
    folds = encoder_folds(
        session, ids, hold_out=hold_out, val_share=_SHARE, test_share=_SHARE, seed=seed
    )
    return Sentences(
        generator_ids=tuple(one.generator_id for one in generators),
        structure_ids=[one for one, _ in found],
        texts=[text for _, text in found],
        material_ids=first_materials(session),
        folds=folds,
    )


def _limited(
    found: list[tuple[str, str]], ids: list[str], limit: int | None, seed: int
) -> list[tuple[str, str]]:
    if limit is None or limit >= len(ids):
        return found
    chosen = np.random.default_rng(seed).choice(len(ids), limit, replace=False)
    kept = {ids[place] for place in chosen}
    return [row for row in found if row[0] in kept]
