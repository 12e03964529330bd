"""Groups of materials that are alike by their vectors: clusters of an encoder's space."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from featurestore.catalogue import structures_of
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.store import FeatureStore

_NAME = re.compile(r"cluster:(?P<encoder>[^:]+):(?P<n>[0-9]{1,6})")
_STARTS = 10
_SEED = 0


def cluster_request(group_by: str) -> tuple[str, int] | None:
    """The encoder and the number in ``cluster:ENCODER:N``; None for a group of another kind.

    Raises
    ------
    InvalidInputError
        If it begins so and goes on otherwise, or the number is less than two.
    """
    if not group_by.startswith("cluster:"):
        return None
    found = _NAME.fullmatch(group_by)
    if found is None or int(found["n"]) < 2:
        raise InvalidInputError(
            f"clusters are named cluster:ENCODER:N with N from 2, as cluster:alignn-ff:10; got "
            f"{group_by!r}"
        )
    return found["encoder"], int(found["n"])


def clusters(store: FeatureStore, ids: Sequence[str], encoder: str, n: int) -> dict[str, str]:
    """The cluster of each material, "0" for the largest one.

    k-means (Lloyd, IEEE Trans. Inf. Theory 1982, 28, 129; scikit-learn's, the best of ten starts,
    with a fixed seed) of the structures' vectors, each column standardised. The same materials and
    vectors give the same clusters; others may give others.

    Parameters
    ----------
    store : FeatureStore
        Where the vectors are.
    ids : sequence of str
        Materials.
    encoder : str
        A structure encoder, by name or id.
    n : int
        How many clusters, from 2.

    Raises
    ------
    UnknownNameError
        If the store has no such encoder.
    InvalidInputError
        If it encodes texts.
    MissingDataError
        If a material has no vector, or there are fewer different vectors than clusters.
    """
    space = store.search.space(encoder, "structure")
    if space.encoder.kind != "structure":
        raise InvalidInputError(
            f"{encoder!r} encodes {space.encoder.kind}s: name a structure encoder for clusters"
        )
    with store.session() as session:
        structure_of = structures_of(session, ids)
    structures = sorted(set(structure_of.values()))
    known = set(space.ids.to_pylist())
    lacking = sorted(name for name, one in structure_of.items() if one not in known)
    if lacking:
        raise MissingDataError(
            f"{len(lacking):,} of {len(ids):,} materials have no vector of {encoder!r}, the first "
            f"is {lacking[0]!r}; make them with: featurestore ingest embeddings --encoder {encoder}"
        )
    vectors = space.vectors_of(structures).astype(np.float64)
    different = len(np.unique(vectors, axis=0))
    if different < n:
        raise MissingDataError(
            f"the {len(ids):,} materials have {different} different vectors of {encoder!r}, and "
            f"{n} clusters need as many"
        )
    from sklearn.cluster import KMeans

    spread = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    labels = KMeans(n_clusters=n, n_init=_STARTS, random_state=_SEED).fit_predict(scaled)
    sizes = np.bincount(labels, minlength=n)
    first = [
        int(np.flatnonzero(labels == label)[0]) if size else -1 for label, size in enumerate(sizes)
    ]
    order = sorted(range(n), key=lambda label: (-sizes[label], first[label]))
    name = {label: str(place) for place, label in enumerate(order)}
    of = dict(zip(structures, map(int, labels), strict=True))
    return {material: name[of[structure]] for material, structure in structure_of.items()}
