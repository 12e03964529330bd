"""Stored pairs of a structure's vector and its text's, with compositions and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import Encoder, Generator, find_encoder, find_generator
from featurestore.commands import encoding_command
from featurestore.errors import MissingContentError, MissingDataError
from featurestore.session import Session
from featurestore.texts.variants import parse_variant
from featurestore.vectors import Vectors
from train.encoders.folds import Folds, encoder_folds

Floats = npt.NDArray[np.float32]
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Pairs:
    """Structures with both vectors; n rows, in order of structure_id.

    Parameters
    ----------
    structure_encoder, text_encoder : Encoder
        Whose vectors they are.
    generator : Generator
        Of the texts.
    structure_ids, text_ids, material_ids : list of str
        Of each row; the first material of a structure.
    structures, texts : ndarray, shape (n, width), float32
        The vectors.
    compositions : ndarray, shape (n, elements), float32
        Shares of the elements, each row of length 1.
    folds : Folds
        Which rows are learned from.
    """

    structure_encoder: Encoder
    text_encoder: Encoder
    generator: Generator
    structure_ids: list[str]
    text_ids: list[str]
    material_ids: list[str]
    structures: Floats
    texts: Floats
    compositions: Floats
    folds: Folds

    def __len__(self) -> int:
        return len(self.structure_ids)

    def rows(self, fold: str) -> npt.NDArray[np.int64]:
        """The numbers of a fold's rows."""
        return np.flatnonzero([self.folds.of[one] == fold for one in self.structure_ids])

    def materials(self, fold: str) -> list[str]:
        """The materials of a fold."""
        return [self.material_ids[row] for row in self.rows(fold)]


def stored_pairs(
    session: Session,
    structure_encoder: str,
    text_encoder: str,
    text_source: str,
    *,
    variant: str = "full",
    hold_out: Sequence[str] = (),
    seed: int = 0,
) -> Pairs:
    """Read the structures that have both vectors.

    Parameters
    ----------
    structure_encoder, text_encoder, text_source : str
        Names or ids.
    variant : str
        Of the text.
    hold_out, seed
        As for `encoder_folds`.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is unknown or ambiguous.
    MissingContentError
        If no structure has both vectors; the message names the commands that make them.
    MissingDataError
        If fewer than 20 have.
    """
    of_structures = find_encoder(session, structure_encoder, "structure")
    of_texts = find_encoder(session, text_encoder, "text")
    generator = find_generator(session, text_source)
    variant = str(parse_variant(variant, generator.tags, generator.reference_tags))
    found = session.query(
        """
        SELECT t.structure_id, t.text_id, min(m.material_id) AS material_id,
               any_value(m.species ORDER BY m.material_id) AS species
        FROM texts(?, variant := ?) t JOIN materials m USING (structure_id)
        GROUP BY ALL ORDER BY t.structure_id
        """,
        [generator.generator_id, variant],
    ).to_pylist()
    left, right = (Vectors.of(session, one) for one in (of_structures, of_texts))
    with_structure = set(left.ids.to_pylist())
    with_text = set(right.ids.to_pylist())
    rows = [r for r in found if r["structure_id"] in with_structure and r["text_id"] in with_text]
    if not rows:
        raise MissingContentError(
            f"of {len(found):,} structures with {generator.source} texts none has both a vector of "
            f"{of_structures.encoder_id} and its text's of {of_texts.encoder_id}",
            [
                encoding_command(session, of_structures),
                encoding_command(session, of_texts, generator.source, [variant]),
            ],
        )
    if len(rows) < _FEWEST:
        raise MissingDataError(
            f"{len(rows)} structures have both vectors; a joint space needs {_FEWEST}: with so few "
            "there is nothing to tell a pair from"
        )
    structure_ids = [row["structure_id"] for row in rows]
    text_ids = [row["text_id"] for row in rows]
    return Pairs(
        structure_encoder=of_structures,
        text_encoder=of_texts,
        generator=generator,
        structure_ids=structure_ids,
        text_ids=text_ids,
        material_ids=[row["material_id"] for row in rows],
        structures=left.read(structure_ids),
        texts=right.read(text_ids),
        compositions=compositions([row["species"] for row in rows]),
        folds=encoder_folds(session, structure_ids, hold_out=hold_out, seed=seed),
    )


def compositions(species: Sequence[Sequence[str]]) -> Floats:
    """Shares of the elements as directions, float32 of shape (n, elements that occur)."""
    elements = {one: place for place, one in enumerate(sorted({s for row in species for s in row}))}
    found = np.zeros((len(species), len(elements)), np.float32)
    for row, symbols in enumerate(species):
        for symbol in symbols:
            found[row, elements[symbol]] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)
