"""Which vectors have a search index, how it was measured, and how many rows came since."""

from __future__ import annotations

import pyarrow as pa

from featurestore.catalogue import encoders
from featurestore.search.vector_index import has_index, rows_not_indexed, stored_index
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table

_SCHEMA = pa.schema(
    [
        ("encoder_id", pa.string()),
        ("type", pa.string()),
        ("metric", pa.string()),
        ("rows", pa.int64()),
        ("not_indexed", pa.int64()),
        ("settings", pa.string()),
        ("recall", pa.float64()),
        ("ms", pa.float64()),
        ("exact_ms", pa.float64()),
        ("built_at", pa.string()),
    ]
)


def index_status(session: Session) -> pa.Table:
    """One row for each encoder with vectors; type is "exact" where searches use no index."""
    rows = []
    for encoder in encoders(session):
        dataset = session.dataset(embedding_table(encoder.kind, encoder.encoder_id))
        if dataset is None:
            continue
        row = {"encoder_id": encoder.encoder_id, "type": "exact", "rows": dataset.count_rows()}
        index = stored_index(dataset, encoder.encoder_id)
        if index is not None:
            row |= {
                "type": index.kind,
                "metric": index.metric,
                "not_indexed": rows_not_indexed(dataset),
                "settings": ", ".join(f"{name} {n}" for name, n in index.settings.items()),
                "recall": index.recall,
                "ms": index.milliseconds,
                "exact_ms": index.exact_milliseconds,
                "built_at": index.built_at,
            }
        elif has_index(dataset):
            row["type"] = "exact (an index that was not measured is left aside)"
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
