"""A training view and its data card in a new folder, which appears whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from featurestore.errors import InvalidInputError, StorageError
from featurestore.export.data_card import card_facts, render_card
from featurestore.export.flat_csv import write_csv
from featurestore.export.hub import front_matter, write_hub_folder
from featurestore.export.hugging_face import write_datasets_folder
from featurestore.export.tensors import write_tensors
from featurestore.store import FeatureStore
from featurestore.views.parameters import resolve
from featurestore.views.request import ViewRequest
from featurestore.views.view import TrainingView, select_view, write_view

CARD = "README.md"

# What writes each format, and how it is read again.
_WRITERS: Mapping[str, tuple[Callable[[TrainingView, Path], None], str]] = {
    "parquet": (
        lambda view, folder: write_view(view, folder / "data.parquet"),
        'import pyarrow.parquet as pq\n\ntable = pq.read_table("data.parquet")',
    ),
    "csv": (
        lambda view, folder: write_csv(view, folder / "data.csv"),
        'import pandas as pd\n\nframe = pd.read_csv("data.csv")',
    ),
    "npy": (
        lambda view, folder: write_view(view, folder / "data.npz"),
        'import numpy as np\n\narrays = np.load("data.npz")\ntargets = arrays["target"]',
    ),
    "datasets": (
        write_datasets_folder,
        'from datasets import load_from_disk\n\ndata = load_from_disk(".").with_format("torch")',
    ),
    "hub": (
        write_hub_folder,
        'import pyarrow.parquet as pq\n\ntable = pq.read_table("data/train.parquet")\n'
        '# or, from the Hub: datasets.load_dataset("OWNER/NAME")',
    ),
    "torch": (
        lambda view, folder: write_tensors(view, folder / "data.safetensors"),
        "from safetensors.torch import load_file\n\n"
        'tensors = load_file("data.safetensors")\nprint(tensors.keys())',
    ),
}
FORMATS = tuple(_WRITERS)


def export_view(
    store: FeatureStore, request: ViewRequest, place: Path, output_format: str
) -> TrainingView:
    """Write the view that ``request`` asks for, and a card, into the new folder ``place``.

    The same view gives the same files.

    Parameters
    ----------
    output_format : {"parquet", "csv", "npy", "datasets", "hub", "torch"}
        One of `FORMATS`.

    Returns
    -------
    TrainingView
        What was written.

    Raises
    ------
    InvalidInputError
        If there is something at ``place``, or no such format.
    UnknownNameError, MissingDataError
        As `FeatureStore.training_view`.
    StorageError
        If the folder cannot be written, or the store cannot be read.
    """
    if output_format not in _WRITERS:
        raise InvalidInputError(f"format must be one of {', '.join(FORMATS)}; got {output_format}")
    write, usage = _WRITERS[output_format]
    with _new_folder(place) as folder:
        with store.session() as session:
            selected = select_view(session, resolve(session, request))
            facts = card_facts(session, selected)
        view = selected.read()
        write(view, folder)
        begin = front_matter(view, list(facts.datasets)) if output_format == "hub" else ""
        (folder / CARD).write_text(begin + render_card(view, facts, usage), "utf-8")
    return view


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """A folder beside ``place`` that takes its name when the block ends without an error."""
    if place.exists():
        raise InvalidInputError(
            f"{place} exists already: name a folder that does not, or remove it"
        )
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
        try:
            yield temporary
            temporary.rename(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {place}: {error}") from error
