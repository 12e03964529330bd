"""The rows of a query: an Arrow table that also comes as pandas or polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.errors import MissingDataError
from featurestore.output.display import Showing, Shown

if TYPE_CHECKING:
    import pandas
    import polars


class QueryResult(Shown):
    """What `FeatureStore.sql` returns.

    Everything that a `pyarrow.Table` can do it can do, too: ``result["n"]``, ``result.num_rows``,
    ``result.to_pylist()``. Libraries that read Arrow's C stream (polars, DuckDB, pandas 3, …) take
    it as it is; functions of pyarrow itself want ``result.arrow()``.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def arrow(self) -> pa.Table:
        """The rows as a `pyarrow.Table`; nothing is copied."""
        return self._table

    def pandas(self) -> pandas.DataFrame:
        """The rows as a `pandas.DataFrame`; vectors become arrays in a column of objects.

        Raises
        ------
        MissingDataError
            If pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise _absent("pandas") from error
        return self._table.to_pandas()  # type: ignore[no-any-return]

    def polars(self) -> polars.DataFrame:
        """The rows as a `polars.DataFrame`; vectors become a column of type ``Array``.

        Raises
        ------
        MissingDataError
            If polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise _absent("polars") from error
        frame = polars.from_arrow(self._table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_table":
            raise AttributeError(name)
        return getattr(self._table, name)

    def __getitem__(self, key: Any) -> Any:
        return self._table[key]

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def equals(self, other: QueryResult | pa.Table, *, check_metadata: bool = False) -> bool:
        """As `pyarrow.Table.equals`, for either."""
        table = other._table if isinstance(other, QueryResult) else other
        return bool(self._table.equals(table, check_metadata=check_metadata))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueryResult | pa.Table) and self.equals(other)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def showing(self) -> Showing:
        """The first rows, and how many there are."""
        columns = self._table.num_columns
        return Showing(f"{len(self):,} rows × {columns} columns", {}, self._table)


def _absent(library: str) -> MissingDataError:
    return MissingDataError(
        f"{library} is not installed here: pip install {library}, or take the rows as they are "
        "with .arrow() or .to_pylist()"
    )
