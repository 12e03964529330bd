"""One thing that is not as it should be, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from featurestore.catalogue import encoders
from featurestore.commands import encoding_command, shown
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table

RESTORE = "restore a snapshot (featurestore snapshot restore) or copy a backup back"


@dataclass(frozen=True)
class Finding:
    """Something that `verify` reports.

    Parameters
    ----------
    table : str
        Where it was found.
    problem : str
        What is wrong, with a count and an example.
    mend : str
        What to run or do.
    wrong : bool
        False for what an interruption or a replacement leaves behind: it harms nothing.
    rows : pyarrow.Table, optional
        Keys of rows that may be moved to quarantine because a later command writes them again.
    """

    table: str
    problem: str
    mend: str
    wrong: bool = True
    rows: pa.Table | None = field(default=None, repr=False)


def example(rows: pa.Table) -> str:
    """The first row as ``a=1, b=2``."""
    return ", ".join(f"{name}={value}" for name, value in rows.slice(0, 1).to_pylist()[0].items())


def removable(table: str, what: str, rows: pa.Table, again: str) -> Finding:
    """A finding whose rows can be quarantined and written again by the command ``again``."""
    return Finding(
        table,
        f"{rows.num_rows:,} {what}, for example {example(rows)}",
        f"featurestore verify --mend moves them to the table quarantine; then {again}",
        rows=rows,
    )


def command_for(session: Session, table: str) -> str:
    """The command that writes rows of a table."""
    for encoder in encoders(session):
        if table == embedding_table(encoder.kind, encoder.encoder_id):
            return shown(encoding_command(session, encoder))
    return {
        "materials": "featurestore ingest structures SOURCES",
        "properties": "featurestore ingest structures SOURCES",
        "property_rules": "featurestore properties unite PROPERTY SOURCES",
        "splits": "featurestore ingest splits",
        "split_versions": "featurestore ingest splits",
        "sentences": "featurestore ingest text --text SOURCE",
        "generators": "featurestore ingest text --text SOURCE",
        "encoders": "featurestore ingest embeddings --encoder NAME",
        "feature_sets": "featurestore features define NAME FEATURES",
        "models": "featurestore train mlp",
        "predictions": "featurestore train mlp",
        "forecasts": "featurestore predict",
        "imported_models": "featurestore models import FILE",
        "renderings": "featurestore ingest embeddings --encoder NAME --text SOURCE",
        "erasures": "featurestore explain tags",
        "effects": "featurestore explain tags",
    }.get(table, "run the command that wrote them again")
