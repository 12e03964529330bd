"""Vectors in two dimensions: by principal components, t-SNE or UMAP."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.search.exact import Vectors

METHODS = ("pca", "tsne", "umap")
#: The package that a method needs beside those that are always there.
_PACKAGES = {"umap": ("umap", "umap-learn")}
_COMPONENTS = 50


def check_method(method: str) -> None:
    """Raise unless a method is known and can be used here.

    Raises
    ------
    InvalidInputError
        If there is no such method.
    MissingDataError
        If its package is not installed.
    """
    if method not in METHODS:
        raise InvalidInputError(f"the method is one of {', '.join(METHODS)}, not {method!r}")
    module, package = _PACKAGES.get(method, ("numpy", ""))
    if find_spec(module) is None:
        raise MissingDataError(f"a map by {method} needs a package: pip install {package}")


def usable_methods() -> tuple[str, ...]:
    """Those whose packages are installed."""
    return tuple(
        method
        for method in METHODS
        if method not in _PACKAGES or find_spec(_PACKAGES[method][0]) is not None
    )


def principal_components(
    vectors: Vectors, count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates along the first principal axes, and each axis's share of the variance.

    Parameters
    ----------
    vectors : ndarray, shape (n, width), float32
        Rows; they are centred, not scaled.
    count : int
        Axes wanted.

    Returns
    -------
    coordinates : ndarray, shape (n, count), float64
        The sign of an axis is such that its largest loading is positive.
    shares : ndarray, shape (count,), float64
        Shares of the total variance.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    # The right singular vectors of many rows are those of their small Gram matrix.
    _, values, axes = np.linalg.svd(centred.T @ centred, hermitian=True)
    count = min(count, len(values))
    chosen = axes[:count]
    signs = np.sign(chosen[np.arange(count), np.abs(chosen).argmax(axis=1)])
    total = values.sum()
    return (centred @ (chosen * signs[:, None]).T), values[:count] / (total or 1.0)


def project(
    vectors: Vectors, method: str, seed: int = 0
) -> tuple[npt.NDArray[np.float64], tuple[str, str]]:
    """Vectors projected onto two dimensions, and what these are.

    Principal components are those of the vectors as they are, by a singular value decomposition.
    t-SNE (L. van der Maaten and G. Hinton, JMLR 9 (2008) 2579) is scikit-learn's, UMAP (L. McInnes,
    J. Healy and J. Melville, arXiv:1802.03426) umap-learn's; both take the first 50 components and
    start from the first two.

    Parameters
    ----------
    vectors : ndarray, shape (n, width), float32
        At least three rows.
    method : {"pca", "tsne", "umap"}
        How.
    seed : int
        Of t-SNE and UMAP.

    Returns
    -------
    coordinates : ndarray, shape (n, 2), float64
        In the order of the rows.
    axes : tuple of str
        What the axes are.
    """
    check_method(method)
    components, shares = principal_components(vectors, 2 if method == "pca" else _COMPONENTS)
    if components.shape[1] < 2:
        components = np.column_stack([components, np.zeros(len(components))])
        shares = np.append(shares, 0.0)
    if method == "pca":
        return components, (
            f"first principal component ({shares[0]:.0%} of the variance)",
            f"second principal component ({shares[1]:.0%})",
        )
    start = components[:, :2] / (components[:, 0].std() or 1.0) * 1e-4
    if method == "umap":
        return _umap(components, start, seed), ("UMAP 1", "UMAP 2")
    from sklearn.manifold import TSNE  # brings SciPy, which no other search needs

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    projected = TSNE(init=start, perplexity=perplexity, random_state=seed).fit_transform(components)
    return np.asarray(projected, np.float64), ("t-SNE 1", "t-SNE 2")


def _umap(
    components: npt.NDArray[np.float64], start: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.float64]:
    import umap  # compiles for seconds when it is imported

    neighbours = min(15, len(components) - 1)
    # A seed needs one thread, and UMAP warns where it has to set that itself.
    made = umap.UMAP(
        n_neighbors=neighbours, init=start * 1e5, random_state=seed, n_jobs=1
    ).fit_transform(components)
    return np.asarray(made, np.float64)
