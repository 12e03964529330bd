"""Equal materials for all feature sets of a property: a split of those that every set has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from featurestore.errors import FeatureStoreError, MissingDataError
from featurestore.failure import Failure
from featurestore.identity import fingerprint
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.views.parameters import resolve
from featurestore.views.request import ViewRequest
from featurestore.views.sql import view_sql
from featurestore.views.view import load_view


@dataclass(frozen=True)
class CommonMaterials:
    """The materials that all usable feature sets of one property have, with their folds.

    Parameters
    ----------
    split : str
        The split that was asked for where the sets have the same materials; else the name of one
        that holds the common ones only, which ends in digits of their hash.
    folds : dict of str to str
        The fold of each common material.
    unusable : dict of ViewRequest to Failure
        Feature sets that the store cannot give.
    note : str
        Says what was left out; empty where nothing was.
    """

    split: str
    folds: dict[str, str] = field(repr=False)
    unusable: dict[ViewRequest, Failure]
    note: str

    def store(self, store: FeatureStore, property_name: str, run: Run) -> None:
        """Write the split of common materials."""
        rows = (
            {
                "split": self.split,
                "property": property_name,
                "material_id": material_id,
                "fold": fold,
                "run_id": run.run_id,
            }
            for material_id, fold in self.folds.items()
        )
        store.merge_rows("splits", rows)


def common_materials(session: Session, requests: Sequence[ViewRequest]) -> CommonMaterials:
    """Compare the materials of feature sets of one property and split.

    Only keys are read, no vector.

    Raises
    ------
    MissingDataError
        If each set has materials, but no material is in all of them.
    """
    unusable: dict[ViewRequest, Failure] = {}
    found: dict[ViewRequest, dict[str, str]] = {}
    for request in dict.fromkeys(requests):
        try:
            found[request] = _folds(session, request)
        except FeatureStoreError as error:
            unusable[request] = Failure.of(error)
    if not found:
        return CommonMaterials(str(requests[0].split), {}, unusable, "")
    first, *others = found.values()
    split, name = str(requests[0].split), requests[0].property
    if all(folds == first for folds in others):
        return CommonMaterials(split, first, unusable, "")
    common = {
        material_id: fold
        for material_id, fold in first.items()
        if all(material_id in folds for folds in others)
    }
    sizes = "; ".join(f"{_label(request)}: {len(folds):,}" for request, folds in found.items())
    if not common:
        raise MissingDataError(f"no material of {name} has all that is to be compared ({sizes})")
    derived = f"{split}-common-{fingerprint(common)[:8]}"
    note = (
        f"{name}: compared on the {len(common):,} materials that every feature set has, stored as "
        f"split {derived} ({sizes})"
    )
    return CommonMaterials(derived, common, unusable, note)


def _folds(session: Session, request: ViewRequest) -> dict[str, str]:
    parameters = resolve(session, request)
    rows = session.read_only_query(
        f"SELECT material_id, fold FROM ({view_sql(parameters)}) ORDER BY ALL"
    )
    if not rows.num_rows:
        load_view(session, parameters)  # raises, and says what is missing
    return dict(zip(rows["material_id"].to_pylist(), rows["fold"].to_pylist(), strict=True))


def _label(request: ViewRequest) -> str:
    names = (
        *(request.structure_encoder, request.text_source, request.text_encoder),
        request.feature_set,
    )
    return " ".join(name for name in names if name)
