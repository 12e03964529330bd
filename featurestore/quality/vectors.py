"""Vectors that are not finite, have length zero, or are exactly those of other contents.

Vectors are read in batches; only ids and 16 bytes a vector are held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from featurestore.catalogue import Encoder
from featurestore.quality.finding import ODD, WRONG, QualityFinding
from featurestore.session import Session
from featurestore.vectors import Vectors


def check_vectors(session: Session, encoder: Encoder) -> Iterator[QualityFinding]:
    """Findings on one encoder's vectors, by item."""
    subject = encoder.encoder_id
    seen: dict[bytes, list[str]] = {}
    for keys, vectors in Vectors.of(session, encoder).batches():
        ids = keys.to_pylist()
        finite = finite_rows(vectors)
        norms: npt.NDArray[np.float32] = np.linalg.norm(
            np.where(finite[:, None], vectors, 0), axis=1
        )
        for row in np.flatnonzero(~finite):
            bad = int(np.count_nonzero(~np.isfinite(vectors[row])))
            yield QualityFinding(
                level=WRONG,
                check="not finite",
                subject=subject,
                item=ids[row],
                value=bad,
                reference=0,
                note="elements that are NaN or infinite",
            )
        for row in np.flatnonzero(finite & (norms == 0)):
            yield QualityFinding(
                level=WRONG,
                check="zero norm",
                subject=subject,
                item=ids[row],
                value=0,
                reference=None,
                note="length of the vector",
            )
        for row in np.flatnonzero(finite & (norms > 0)):
            digest = hashlib.blake2b(vectors[row].data, digest_size=16).digest()
            seen.setdefault(digest, []).append(ids[row])
    for same in seen.values():
        if len(same) > 1:
            first, *others = sorted(same)
            for other in others:
                yield QualityFinding(
                    level=ODD,
                    check="duplicate vector",
                    subject=subject,
                    item=other,
                    value=len(same),
                    reference=1,
                    note=f"contents with this very vector, {first} among them",
                )


def finite_rows(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which vectors (n, width) have neither NaN nor infinity in them: shape (n,)."""
    return np.asarray(np.isfinite(vectors).all(axis=1))
