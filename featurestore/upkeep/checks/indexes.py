"""Checks of search indexes: rows that came since, and indexes that were never measured."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.catalogue import encoders
from featurestore.search.vector_index import has_index, rows_not_indexed, stored_index
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table
from featurestore.upkeep.checks.finding import Finding


def check_indexes(session: Session) -> Iterator[Finding]:
    """Notes on search indexes; none harms, since searches read what an index lacks."""
    for encoder in encoders(session):
        table = embedding_table(encoder.kind, encoder.encoder_id)
        dataset = session.dataset(table)
        if dataset is None or not has_index(dataset):
            continue
        if stored_index(dataset, encoder.encoder_id) is None:
            yield Finding(
                table,
                "has a search index that was not measured to the end; searches leave it aside",
                f"featurestore search index build --encoder {encoder.encoder_id}",
                wrong=False,
            )
            continue
        late = rows_not_indexed(dataset)
        if late:
            yield Finding(
                table,
                f"{late:,} of {dataset.count_rows():,} rows are not in the search index yet; each "
                "search reads them one by one",
                "featurestore maintain",
                wrong=False,
            )
