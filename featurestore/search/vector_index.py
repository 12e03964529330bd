"""A search index in a table of vectors: which kind, how it is asked, and what was measured of it.

The index is Lance's. How it is asked, and how well that did when it was built, stands in the same
version of the table, so that restoring a snapshot restores both or neither.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NAME = "search_vector"
KEY = "featurestore.search_index"


@dataclass(frozen=True)
class VectorIndex:
    """An index, the settings that reached the recall wanted, and their measurement.

    Parameters
    ----------
    encoder_id : str
        Whose vectors are indexed.
    kind : str
        Lance's name of it, for example "IVF_FLAT".
    metric : str
        The only distance it can be asked for.
    settings : dict of str to int
        How it is asked: nprobes, refine_factor, ef.
    rows : int
        Rows in the table when it was built.
    k : int
        Neighbours of a query in the measurement.
    target, recall : float
        Share of the true neighbours that was to be found, and that was.
    milliseconds, exact_milliseconds : float
        Median time of one query by the index, and by exact search in memory.
    build_seconds : float
        Time the build took.
    built_at : str
        When, ISO 8601, UTC.
    """

    encoder_id: str
    kind: str
    metric: str
    settings: dict[str, int]
    rows: int
    k: int
    target: float
    recall: float
    milliseconds: float
    exact_milliseconds: float
    build_seconds: float
    built_at: str

    def candidates(
        self,
        dataset: Any,
        key: str,
        query: npt.NDArray[np.float32],
        k: int,
        share: float = 1.0,
    ) -> tuple[pa.Array, npt.NDArray[np.float32]]:
        """Ids and vectors of about the k nearest rows; rows added since the build are among them.

        Parameters
        ----------
        dataset : lance.LanceDataset
            The table.
        key : str
            Its id column.
        query : ndarray, shape (width,), float32
            The query.
        k : int
            How many.
        share : float
            Of the rows, how many the caller will keep: what it wants lies so much farther away, and
            as many more partitions are looked through.
        """
        settings = dict(self.settings)
        if "nprobes" in settings:
            settings["nprobes"] = math.ceil(settings["nprobes"] / share)
        return ask(dataset, key, query, k, self.metric, settings)

    def as_json(self) -> str:
        """The form in which it is stored."""
        return json.dumps(asdict(self))


def ask(
    dataset: Any,
    key: str,
    query: npt.NDArray[np.float32],
    k: int,
    metric: str,
    settings: dict[str, int],
) -> tuple[pa.Array, npt.NDArray[np.float32]]:
    """Ids and vectors of what Lance's index finds with these settings."""
    # Fewer partitions or candidates than neighbours wanted would find fewer than wanted.
    if "ef" in settings:
        settings = {**settings, "ef": max(settings["ef"], k)}
    found = dataset.scanner(
        columns=[key, "vector"],
        nearest={"column": "vector", "q": query, "k": k, "metric": metric, **settings},
        disable_scoring_autoprojection=True,
    ).to_table()
    values = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return found[key].combine_chunks(), values.reshape(-1, len(query))


def stored_index(dataset: Any, encoder_id: str) -> VectorIndex | None:
    """The index of a table; None where none was built, or not to its end.

    What was measured for another encoder's vectors, in a table copied by other means, is none.
    """
    text = dataset.metadata.get(KEY)
    if text is None or not has_index(dataset):
        return None
    try:
        index = VectorIndex(**json.loads(text))
    except (TypeError, ValueError):
        return None
    return index if index.encoder_id == encoder_id else None


def has_index(dataset: Any) -> bool:
    """Whether the table has a search index, measured or not."""
    return any(found.name == NAME for found in dataset.describe_indices())


def rows_not_indexed(dataset: Any) -> int:
    """Rows that came since the index was built or refreshed; each search reads them one by one."""
    return int(dataset.stats.index_stats(NAME)["num_unindexed_rows"])
