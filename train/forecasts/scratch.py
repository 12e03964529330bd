"""A store for one call, gone afterwards: for forecasts that are to leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from featurestore.quoting import SQL, column, quoted
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.tables.storage import Storage
from featurestore.tables.tables import Tables
from featurestore.views.features import PropertyFeature, VectorFeature
from featurestore.views.parameters import ViewParameters
from featurestore.views.sql import texts_sql

_IDS_A_READ = 1000


@contextmanager
def scratch_store(store: FeatureStore, views: Sequence[ViewParameters]) -> Iterator[FeatureStore]:
    """A store in a temporary folder that knows the encoders and generators of these views."""
    with TemporaryDirectory(prefix="featurestore-") as folder:
        scratch = FeatureStore(Tables(Storage.at(folder), is_temporary=True))
        vectors = [feature for view in views for feature in view.vectors]
        with store.session() as session:
            ids = {feature.encoder_id for feature in vectors}
            _copy(session, scratch, "encoders", "encoder_id", ids)
            ids = {one.generator_id for one in vectors if one.generator_id is not None}
            _copy(session, scratch, "generators", "generator_id", ids)
        yield scratch


def copy_materials(
    session: Session, scratch: FeatureStore, views: Sequence[ViewParameters], ids: Sequence[str]
) -> None:
    """Put stored materials, and properties that are features of the views, into a scratch store."""
    _copy(session, scratch, "materials", "material_id", ids)
    if any(isinstance(part, PropertyFeature) for view in views for part in view.parts):
        _copy(session, scratch, "properties", "material_id", ids)


def copy_content(
    session: Session,
    scratch: FeatureStore,
    views: Sequence[ViewParameters],
    structure_ids: Sequence[str],
) -> None:
    """Put texts and vectors that the store has for structures into a scratch store."""
    features = {feature for view in views for feature in view.vectors}
    if any(feature.generator_id for feature in features):
        _copy(session, scratch, "sentences", "structure_id", structure_ids)
    for feature in sorted(features, key=str):
        table = embedding_table(feature.kind, feature.encoder_id)
        ids: Iterable[str] = structure_ids
        if feature.generator_id is not None:
            ids = _text_ids(session, feature, structure_ids)
        _copy(session, scratch, table, f"{feature.kind}_id", ids)


def _text_ids(session: Session, feature: VectorFeature, structure_ids: Sequence[str]) -> list[str]:
    rows = session.read_only_query(
        f"SELECT DISTINCT text_id FROM {texts_sql(feature)} WHERE structure_id IN "
        "(SELECT unnest(?::VARCHAR[]))",
        [list(structure_ids)],
    )
    return list(rows["text_id"].to_pylist())


def _copy(
    session: Session, scratch: FeatureStore, table: str, key: str, ids: Iterable[str]
) -> None:
    dataset = session.dataset(table)
    wanted = sorted(set(ids))
    if dataset is None:
        return
    for first in range(0, len(wanted), _IDS_A_READ):
        among = SQL(", ".join(quoted(one) for one in wanted[first : first + _IDS_A_READ]))
        rows = dataset.to_table(filter=SQL(f"{column(key)} IN ({among})"))
        if rows.num_rows:
            scratch.merge(table, rows)
