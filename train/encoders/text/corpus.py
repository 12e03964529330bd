"""The texts of a store with the values that a text model is to learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import Generator, find_generator, find_property
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.session import Session
from featurestore.texts.variants import parse_variant
from train.encoders.folds import Folds, encoder_folds

Targets = npt.NDArray[np.float64]
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts with targets; n rows, one for each structure and source.

    Parameters
    ----------
    properties : tuple of (str, str)
        Names and units.
    generators : tuple of Generator
        Of the texts.
    structure_ids, material_ids, texts : list of str
        Of each row; the first material of a structure.
    targets : ndarray, shape (n, at least properties), float64
        NaN where a structure lacks a property; further columns are told by who added them.
    folds : Folds
        Of the structures: all texts of one are in the same fold.
    """

    properties: tuple[tuple[str, str], ...]
    generators: tuple[Generator, ...]
    structure_ids: list[str]
    material_ids: list[str]
    texts: list[str]
    targets: Targets
    folds: Folds

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, fold: str) -> list[int]:
        """The numbers of a fold's rows."""
        return [row for row, one in enumerate(self.structure_ids) if self.folds.of[one] == fold]

    def materials(self, fold: str) -> list[str]:
        """The materials of a fold, each once."""
        return sorted({self.material_ids[row] for row in self.rows(fold)})


def stored_corpus(
    session: Session,
    properties: Sequence[str],
    sources: Sequence[str],
    *,
    variant: str = "full",
    hold_out: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
) -> Corpus:
    """Read the texts of structures that have one of the properties.

    Parameters
    ----------
    properties : sequence of str
        What is learned, all at once; numbers.
    sources : sequence of str
        Text sources; a structure has a row for each that describes it.
    variant : str
        Of the texts.
    hold_out : sequence of str
        As for `encoder_folds`; without, a twentieth each is held out.
    limit : int, optional
        Structures to take, at random.
    seed : int
        Of the folds and of the choice of ``limit``.

    Raises
    ------
    UnknownNameError
        If a property, source or split is unknown.
    InvalidInputError
        If a property is of classes, or named twice.
    MissingDataError
        If fewer than 20 structures have a text and a target.
    """
    if len(set(properties)) < len(properties):
        raise InvalidInputError("a property is named twice")
    units = [find_property(session, name)[1] for name in properties]
    values = [_targets(session, name) for name in properties]
    generators = tuple(find_generator(session, source) for source in sources)
    found: list[tuple[str, str, str]] = []
    for generator in generators:
        kept = str(parse_variant(variant, generator.tags, generator.reference_tags))
        rows = session.query(
            "SELECT structure_id, text FROM texts(?, variant := ?) ORDER BY structure_id",
            [generator.generator_id, kept],
        )
        found += [
            (structure_id, text, generator.generator_id)
            for structure_id, text in zip(
                rows["structure_id"].to_pylist(), rows["text"].to_pylist(), strict=True
            )
            if text and any(structure_id in of for of in values)
        ]
    ids = sorted({one for one, _, _ in found})
    if limit is not None and limit < len(ids):
        chosen = np.random.default_rng(seed).choice(len(ids), limit, replace=False)
        ids = [ids[place] for place in sorted(chosen)]
    if len(ids) < _FEWEST:
        raise MissingDataError(
            f"{len(ids)} structures have a {' or '.join(sources)} text and a value of "
            f"{' or '.join(map(repr, properties))}; a text source model needs {_FEWEST}: describe "
            f"more with featurestore ingest text --text {sources[0]} --property {properties[0]}"
        )
    kept_ids = set(ids)
    found = [row for row in found if row[0] in kept_ids]
    first = first_materials(session)
    corpus = Corpus(
        properties=tuple(zip(properties, units, strict=True)),
        generators=generators,
        structure_ids=[one for one, _, _ in found],
        material_ids=[first[one] for one, _, _ in found],
        texts=[text for _, text, _ in found],
        targets=np.array(
            [[of.get(one, np.nan) for of in values] for one, _, _ in found], np.float64
        ),
        folds=encoder_folds(
            session, ids, hold_out=hold_out, val_share=0.05, test_share=0.05, seed=seed
        ),
    )
    return _checked(corpus)


def _checked(corpus: Corpus) -> Corpus:
    """The corpus, with a note of each property that the validation fold cannot judge."""
    known = ~np.isnan(corpus.targets)
    there = {
        fold: [bool(column.any()) for column in known[corpus.rows(fold)].T]
        for fold in ("train", "val")
    }
    names = [name for name, _ in corpus.properties]
    for fold, has in there.items():
        lacking = [name for name, one in zip(names, has, strict=True) if not one]
        if lacking and (fold == "train" or len(lacking) == len(names)):
            raise MissingDataError(
                f"no {fold} structure of the {len(corpus.folds.of)} has a value of {lacking[0]!r}"
            )
    # The folds held out may be of one data set and a property of another.
    notes = tuple(
        f"no validation structure has a value of {name!r}: it is learned, and the best round is "
        "chosen by the other properties"
        for name, one in zip(names, there["val"], strict=True)
        if not one
    )
    return replace(corpus, folds=replace(corpus.folds, notes=corpus.folds.notes + notes))


def _targets(session: Session, property: str) -> dict[str, float]:
    """The mean of a property's values over the materials of each structure."""
    rows = session.query(
        "SELECT structure_id, avg(target) AS target FROM targets(?) GROUP BY structure_id",
        [property],
    )
    return dict(zip(rows["structure_id"].to_pylist(), rows["target"].to_pylist(), strict=True))


def first_materials(session: Session) -> dict[str, str]:
    """The first material of each structure, by id."""
    rows = session.query(
        "SELECT structure_id, min(material_id) AS material_id FROM materials GROUP BY structure_id"
    )
    return dict(zip(rows["structure_id"].to_pylist(), rows["material_id"].to_pylist(), strict=True))
