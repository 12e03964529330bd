"""One thing about vectors or targets that someone should look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

# How much it matters: "wrong" can be in no valid store; "odd" may be right, but deserves a look;
# "change" says how two states or versions differ.
WRONG, ODD, CHANGE = "wrong", "odd", "change"

_SCHEMA = pa.schema(
    [
        *[
            pa.field(name, pa.string())
            for name in ("level", "check", "subject", "material_id", "item")
        ],
        pa.field("value", pa.float64()),
        pa.field("reference", pa.float64()),
        pa.field("note", pa.string()),
    ]
)


@dataclass(frozen=True)
class QualityFinding:
    """A row of ``featurestore quality``.

    Parameters
    ----------
    level : {"wrong", "odd", "change"}
        How much it matters.
    check : str
        Which check found it.
    subject : str
        The encoder, the property, or the two versions compared.
    item : str
        The structure, text or material; or the quantity that changed.
    value, reference : float or None
        What was found, and what it was held against: the limit, or the earlier value.
    note : str
        What ``value`` and ``reference`` are, in words.
    material_id : str, optional
        A material that has the item; there may be others.
    """

    level: str
    check: str
    subject: str
    item: str
    value: float | None
    reference: float | None
    note: str
    material_id: str | None = None


def as_table(findings: Iterable[QualityFinding]) -> pa.Table:
    """Findings as an Arrow table, one row each."""
    return pa.Table.from_pylist([vars(finding) for finding in findings], schema=_SCHEMA)
