"""A structure file that somebody brings: what is like it, and what the models say of it.

It is read, described and encoded in a store of its own that is gone afterwards; nothing of it is
written to the store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explain.explore.sessions import Source
from explain.reasons.measure import reasons_of
from featurestore.catalogue import encoders
from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError, InvalidInputError, MissingDataError
from featurestore.output.labels import property_title
from featurestore.output.names import file_name
from featurestore.preparation import MissingVersionError, Preparation, preparation
from featurestore.search.hits import Among, NearVector
from featurestore.search.spaces import Space
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.stored_structures import crystal_from_row
from featurestore.tables.schemas import embedding_table
from featurestore.views.features import VectorFeature
from train.forecasts.chosen import chosen_group, named_group, properties_with_models
from train.forecasts.forecast import Forecast
from train.forecasts.predictor import Predictor
from train.forecasts.scratch import scratch_store
from train.models import SeedGroup

#: Bytes of a file.
MOST_BYTES = 16 * 2**20
_NEIGHBOURS = 8
# What packs other files may unpack to more than a machine holds.
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True)
class Alike:
    """The stored materials nearest to the file's in one encoder's space."""

    encoder_id: str
    rows: tuple[dict[str, Any], ...]
    problem: str = ""


@dataclass(frozen=True)
class Tried:
    """What came of a file.

    Parameters
    ----------
    name : str
        The file's.
    row : dict
        As in the table of materials.
    crystal : Crystal
        The structure.
    alike : tuple of Alike
        By space.
    forecasts : tuple of Forecast
        By property.
    why : str
        What moved them; empty where it was not asked for.
    notes : tuple of str
        What a reader should know.
    """

    name: str
    row: dict[str, Any]
    crystal: Crystal
    alike: tuple[Alike, ...]
    forecasts: tuple[Forecast, ...]
    why: str
    notes: tuple[str, ...]


def try_file(
    source: Source, name: str, content: bytes, why: bool = False, model: str | None = None
) -> Tried:
    """Read a structure file and say what is like it and what the models say.

    Parameters
    ----------
    source : Source
        The store.
    name : str
        The file's name, which tells its format; no path.
    content : bytes
        What it holds: one structure.
    why : bool
        Whether to measure what moved the predictions.
    model : str, optional
        Which model predicts, with its other seeds; of each property the promoted or only one
        without.

    Raises
    ------
    InvalidInputError, UnknownNameError
        If it holds no structure, or several, or there is no such model.
    """
    if len(content) > MOST_BYTES:
        raise InvalidInputError(f"{name} has more than {MOST_BYTES / 2**20:g} MiB")
    if content.startswith(_PACKED) or content[257:262] == b"ustar":
        raise InvalidInputError(f"{name} is packed: unpack it, and bring one structure file")
    groups, notes = _groups(source.session, model)
    with tempfile.TemporaryDirectory(prefix="featurestore-") as folder:
        path = Path(folder) / _plain_name(name)
        path.write_bytes(content)
        if not groups:
            return _read_only(source, name, path, notes or ["the store has no model that predicts"])
        try:
            return _predicted(source, name, path, groups, notes, why)
        except (MissingDataError, MissingVersionError) as error:
            # What it is like can be said without what the models need.
            return _read_only(source, name, path, [*notes, f"nothing is predicted: {error}"])


def _plain_name(name: str) -> str:
    """A name that is no path; formats are told by how it ends, or for VASP by how it begins."""
    stem, dot, suffix = name.replace("\\", "/").rsplit("/", 1)[-1].rpartition(".")
    if dot and stem and suffix.isascii() and suffix.isalnum():
        return file_name(stem, suffix=f".{suffix}")
    return file_name(f"{stem}{dot}{suffix}" or "structure")


def _groups(session: Session, model: str | None) -> tuple[list[SeedGroup], list[str]]:
    """The models that predict, one group for each property, and why others do not."""
    if model:
        return [named_group(session, model)], []
    groups, notes = [], []
    for name in properties_with_models(session):
        try:
            groups.append(chosen_group(session, name))
        except FeatureStoreError:
            notes.append(
                f"{property_title(name)} is not predicted: none of its models is promoted, or all "
                "are retired; choose one above"
            )
    return groups, notes


def _predicted(
    source: Source, name: str, path: Path, groups: list[SeedGroup], notes: list[str], why: bool
) -> Tried:
    ids = [group.first.model_id for group in groups]
    with (
        Predictor(source.store, models=ids, keep=False) as predictor,
        predictor.predicting(path) as (place, found),
    ):
        of_file = (*found.failures.items(), *found.passed_over.items())
        wrong = [f"{failed}: {failure.message}" for failed, failure in of_file]
        row, crystal = _only_one(place, name, wrong)
        notes += wrong
        text = ""
        if why and found.rows:
            reasons = reasons_of(predictor, place, found.rows)
            text = reasons.text()
            notes += reasons.notes
        alike = _alike(source, place, row["structure_id"])
        return Tried(name, row, crystal, alike, found.rows, text, (*notes, *found.remarks()))


def _read_only(source: Source, name: str, path: Path, notes: list[str]) -> Tried:
    """Without a model: what is alike by the encoders of structures."""
    features = [
        VectorFeature(one.encoder_id)
        for one in encoders(source.session, "structure")
        if not one.from_file
    ]
    made = preparation()
    try:
        with scratch_store(source.store, []) as place:
            _copy_encoders(source.session, place)
            read = made.read(place, [path])
            wrong = [f"{one}: {failure.message}" for one, failure in read.failures.items()]
            row, crystal = _only_one(place, name, wrong)
            notes += wrong
            for feature in features:
                notes += _encoded(made, place, feature, read.material_ids)
            alike = _alike(source, place, row["structure_id"])
    finally:
        made.close()
    return Tried(name, row, crystal, alike, (), "", tuple(notes))


def _encoded(
    made: Preparation, place: FeatureStore, feature: VectorFeature, ids: Sequence[str]
) -> list[str]:
    """Encode the file's structure in one space; why not, where that cannot be done here."""
    try:
        failed = made.vectors(place, [feature], ids)
    except (MissingDataError, MissingVersionError) as error:
        return [f"not compared by {feature.encoder_id}: {error}"]
    return [f"not compared by {feature.encoder_id}: {one.message}" for one in failed.values()]


def _copy_encoders(session: Session, place: FeatureStore) -> None:
    rows = session.query("FROM encoders")
    if rows.num_rows:
        place.merge("encoders", rows)


def _only_one(place: FeatureStore, name: str, notes: list[str]) -> tuple[dict[str, Any], Crystal]:
    """The one material that was read."""
    rows: list[dict[str, Any]] = []
    if place.tables():
        with place.session() as session:
            rows = session.query("FROM materials ORDER BY material_id LIMIT 2").to_pylist()
    if not rows:
        raise InvalidInputError(
            f"{name} holds no structure that can be read"
            + ("; " + "; ".join(notes[:3]) if notes else "")
        )
    if len(rows) > 1:
        raise InvalidInputError(
            f"{name} holds several structures; bring one, or predict all of them with: "
            "featurestore predict FILES"
        )
    return rows[0], crystal_from_row(rows[0])


def _alike(source: Source, place: FeatureStore, structure_id: str) -> tuple[Alike, ...]:
    """What is near the structure in every space in which it has a vector."""
    found = []
    with place.session() as there:
        for encoder in encoders(there, "structure"):
            dataset = there.dataset(embedding_table("structure", encoder.encoder_id))
            if dataset is None:
                continue
            vector = Space(encoder, dataset).vector_of(structure_id)
            if vector is None:
                continue
            question = NearVector(encoder, vector)
            try:
                hits = source.store.search.find(source.session, [question], Among(k=_NEIGHBOURS))
            except FeatureStoreError as error:
                found.append(Alike(encoder.encoder_id, (), str(error)))
                continue
            found.append(Alike(encoder.encoder_id, tuple(hits.table.to_pylist())))
    return tuple(found)
