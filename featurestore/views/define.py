"""Puts a feature set under a name, every feature resolved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from featurestore.errors import InvalidInputError
from featurestore.feature_sets import FeatureSet, damaged_version, feature_sets
from featurestore.identity import fingerprint
from featurestore.shipped_sets import find_shipped_set
from featurestore.store import FeatureStore
from featurestore.views.features import resolve_features

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def define_feature_set(
    store: FeatureStore, name: str, features: Sequence[str] = (), description: str = ""
) -> tuple[FeatureSet, bool]:
    """Store a feature set, as a run on record.

    Parameters
    ----------
    store : FeatureStore
        Where.
    name : str
        Letters, digits, ``_``, ``.``, ``+`` and ``-``.
    features : sequence of str
        As `featurestore.views.features` describes them. None: those of the set that this package
        knows by that name, see `featurestore.shipped_sets`.
    description : str
        What it is for.

    Returns
    -------
    FeatureSet
        The newest version of the name: a new one, unless the newest has these very features.
    bool
        Whether it is new.

    Raises
    ------
    InvalidInputError
        If the name has another form, or a feature is ambiguous, named twice or no number.
    UnknownNameError
        If a feature names something that the store does not know, or without features the name is
        none of this package's.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no name of a feature set: it is made of letters, digits, _, ., + and -"
        )
    if not features:
        shipped = find_shipped_set(name)
        features, description = shipped.features, description or shipped.description
    with store.session() as session:
        resolved = tuple(map(str, resolve_features(session, features)))
        versions = [one for one in feature_sets(session) if one.name == name]
        damaged = damaged_version(session, name)
    newest = versions[-1].version if versions else 0
    if newest > damaged and versions[-1].features == resolved:
        return versions[-1], False
    new = FeatureSet(
        name=name,
        version=max(newest, damaged) + 1,
        features=resolved,
        written=tuple(features),
        description=description,
        created_at=datetime.now(UTC),
    )
    with store.run("features define", {"name": name, "features": list(features)}) as run:
        row = vars(new) | {
            "features": list(resolved),
            "written": list(features),
            "fingerprint": fingerprint({"features": list(resolved)}),
            "run_id": run.run_id,
        }
        written = store.merge_rows("feature_sets", [row])
        run.counts = {"written": written.written}
    if written.conflicts:
        raise InvalidInputError(
            f"another process has just defined {new} with other features; run the command again"
        )
    return new, True
