"""Fetches a published JARVIS archive, from where jarvis-tools says it lies."""

from __future__ import annotations

from pathlib import Path

from featurestore.errors import InvalidInputError, UnknownNameError
from ingest.weights.cache import weights_root
from ingest.weights.http import download
from ingest.weights.package_index import DownloadError


def jarvis_archive(dataset: str, folder: Path | None = None) -> Path:
    """The path of a data set's ``.json.zip``, downloaded unless it is there already.

    jarvis-tools knows the address of every data set, but reads a whole archive into memory once it
    has fetched it, and takes half a download for a whole one; so only its table is used.

    Parameters
    ----------
    dataset : str
        Its name in jarvis-tools, for example ``"dft_3d"``.
    folder : Path, optional
        Where archives are kept; by default ``jarvis`` in the cache folder.

    Raises
    ------
    UnknownNameError
        If jarvis-tools knows no such data set.
    InvalidInputError
        If it cannot be fetched.
    """
    from jarvis.db.figshare import get_db_info

    known = get_db_info()
    if dataset not in known:
        raise UnknownNameError("JARVIS data set", dataset, known)
    url, name, *_ = known[dataset]
    folder = folder or weights_root().parent / "jarvis"
    path = folder / f"{name}.zip"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            download(url, path)
        except (OSError, DownloadError) as error:
            raise InvalidInputError(
                f"cannot fetch the JARVIS data set {dataset!r} from {url}: "
                f"{error.__cause__ or error}. Download it by other means and run: "
                f"featurestore ingest structures FILE --dataset {dataset}"
            ) from error
    return path
