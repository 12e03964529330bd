"""What would be sent to publish an exported folder: files, checksums, metadata. Nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal

from featurestore.errors import InvalidInputError
from featurestore.files import check_regular
from featurestore.redaction import redacted

Place = Literal["hub", "zenodo"]

CARD = "README.md"
_MOST = {"hub": 50 << 30, "zenodo": 50 << 30}
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def submission(
    folder: Path,
    place: Place,
    *,
    repository: str | None = None,
    title: str | None = None,
    creators: Sequence[str] = (),
) -> dict[str, Any]:
    """What a publication of a folder is: JSON values.

    Parameters
    ----------
    folder : Path
        With a README.md, as ``featurestore export`` and ``featurestore study run`` make them.
    place : {"hub", "zenodo"}
        The Hugging Face Hub, or Zenodo.
    repository : str, optional
        OWNER/NAME on the Hub.
    title : str, optional
        By default the first heading of the card.
    creators : sequence of str
        Of a Zenodo record, each ``Family, Given``.

    Raises
    ------
    InvalidInputError
        If the folder has no card, holds a link or a hidden file, is larger than the place takes,
        or what the place needs is not given; or if a text file shows a credential.
    """
    card = folder / CARD
    if not card.is_file():
        raise InvalidInputError(f"{folder} has no {CARD}: a publication needs its card")
    files = [_file(path, folder) for path in sorted(folder.rglob("*")) if not path.is_dir()]
    total = sum(file["bytes"] for file in files)
    if total > _MOST[place]:
        raise InvalidInputError(f"{folder} has {total:,} bytes; {place} takes {_MOST[place]:,}")
    text = card.read_text("utf-8")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    title = title or (heading[1] if heading else folder.name)
    if place == "hub":
        if not repository or not _REPOSITORY.fullmatch(repository):
            raise InvalidInputError(f"the Hub needs a repository OWNER/NAME, not {repository!r}")
        if not text.startswith("---\n"):
            raise InvalidInputError(
                f"{card} has no front matter for the Hub: export with --format hub"
            )
        where: dict[str, Any] = {"repository": repository, "type": "dataset"}
        where["command"] = f"hf upload {repository} {folder} --repo-type dataset"
    else:
        if not creators:
            raise InvalidInputError("Zenodo needs creators, each as 'Family, Given'")
        where = {
            "metadata": {
                "title": title,
                "upload_type": "dataset",
                "description": _described(text),
                "creators": [{"name": one} for one in creators],
            }
        }
    return {"place": place, **where, "title": title, "bytes": total, "files": files}


def _file(path: Path, folder: Path) -> dict[str, Any]:
    name = path.relative_to(folder)
    if path.is_symlink():
        raise InvalidInputError(f"{path} is a link: what it leads to would not be published")
    if any(part.startswith(".") for part in name.parts):
        raise InvalidInputError(f"{path} is hidden: remove it, or publish another folder")
    check_regular(path)
    if path.suffix in (".md", ".json", ".csv", ".html", ".toml", ".txt"):
        text = path.read_text("utf-8", errors="replace")
        if redacted(text) != text:
            raise InvalidInputError(f"{path} shows what looks like a credential")
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return {"name": name.as_posix(), "bytes": path.stat().st_size, "sha256": digest}


def _described(card: str) -> str:
    """The first paragraph below the heading."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    paragraphs = [one.strip() for one in body.split("\n\n") if one.strip()]
    return next((one for one in paragraphs if not one.startswith("#")), "")
