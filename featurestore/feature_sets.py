"""Named feature sets: stored lists of features, each change of a name's list a new version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.output.display import Showing, Shown
from featurestore.session import Session
from featurestore.shipped_sets import shipped_sets


@dataclass(frozen=True, repr=False)
class FeatureSet(Shown):
    """A list of features under a name.

    Parameters
    ----------
    name : str
        What people call it.
    version : int
        From 1; a name without a version stands for its newest.
    features : tuple of str
        In order, every name an id, so that the set means the same for ever.
    written : tuple of str
        The features as they were written.
    description : str
        What it is for; may be empty.
    created_at : datetime
        UTC.
    """

    name: str
    version: int
    features: tuple[str, ...]
    written: tuple[str, ...]
    description: str
    created_at: datetime

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def showing(self) -> Showing:
        """The features as they were written, and with ids."""
        facts = dict(zip(self.written, self.features, strict=True))
        notes = (self.description,) if self.description else ()
        return Showing(f"Feature set {self}", facts, notes=notes)


def feature_sets(session: Session) -> list[FeatureSet]:
    """All feature sets, by name and version."""
    rows = session.query(
        "SELECT name, version, features, written, description, created_at FROM feature_sets "
        "ORDER BY name, version"
    ).to_pylist()
    return [
        FeatureSet(
            name=row["name"],
            version=row["version"],
            features=tuple(row["features"]),
            written=tuple(row["written"]),
            description=row["description"],
            created_at=row["created_at"],
        )
        for row in rows
    ]


def damaged_version(session: Session, name: str) -> int:
    """The newest version of a name whose row is damaged, and therefore left out; 0 if none is."""
    keys = (key for key, _ in session.damaged.get("feature_sets", []) if key["name"] == name)
    return max((int(key["version"] or 0) for key in keys), default=0)


def find_feature_set(session: Session, name: str) -> FeatureSet:
    """The feature set ``NAME@VERSION``, or the newest version of ``NAME``.

    Raises
    ------
    UnknownNameError
        If there is no such name or version.
    InvalidInputError
        If the newest version of a name without one is damaged.
    """
    known = feature_sets(session)
    of_name = {one.name: one for one in known}
    damaged = damaged_version(session, name)
    if damaged > (of_name[name].version if name in of_name else 0):
        raise InvalidInputError(
            f"version {damaged} of feature set {name!r} is damaged: name another version, as "
            f"{name}@1, or see: featurestore verify"
        )
    if name in of_name:
        return of_name[name]
    exact = {str(one): one for one in known}
    if name in exact:
        return exact[name]
    command = f"featurestore features define {name}" + (
        " FEATURES" if name not in shipped_sets() else ""
    )
    raise UnknownNameError("feature set", name, [*of_name, *exact], f"(define it with: {command})")
