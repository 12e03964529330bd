"""What of a study has been made: a file beside its page, which outlasts a kill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featurestore.errors import InvalidInputError
from featurestore.files import ROWS_SIZE, read_json
from featurestore.output.rows import atomic_path

NAME = "study.json"


@dataclass(frozen=True)
class Made:
    """What a step has made, and of what.

    Parameters
    ----------
    keys : mapping
        What the file said about it, with the hashes of the files that it names.
    inputs : mapping of str to str
        By the name of each step that it needs the fingerprint of what that had made.
    output : mapping
        What it made: ids, counts, fingerprints. Another output makes the steps that need it again.
    files : tuple of str
        Files of the study's folder.
    runs : tuple of str
        Ids of the runs that made it.
    notes : tuple of str
        What a reader should know.
    seconds : float
        How long it took.
    """

    keys: Mapping[str, Any]
    inputs: Mapping[str, str]
    output: Mapping[str, Any]
    files: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Record:
    """All steps that were made, by their names.

    Parameters
    ----------
    path : Path
        Where it is kept.
    store : str
        The store in which the steps were made: another store makes all of them new.
    steps : dict of str to Made
    fingerprint : str
        Of the study that is under way.
    """

    path: Path
    store: str
    steps: dict[str, Made] = field(default_factory=dict)
    fingerprint: str = ""

    @classmethod
    def of(cls, folder: Path, store: str) -> Record:
        """The record in a folder; an empty one where there is none, or it is of another store.

        Raises
        ------
        InvalidInputError
            If the file is no record.
        """
        path = folder / NAME
        if not path.is_file():
            return cls(path, store)
        content = read_json(path, ROWS_SIZE)
        try:
            if content["store"] != store:
                return cls(path, store)
            steps = {
                name: Made(**{**made, **{key: tuple(made[key]) for key in _TUPLES}})
                for name, made in content["steps"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{path} is no record of a study: remove it, and what the store has is found again"
            ) from error
        return cls(path, store, steps)

    def put(self, name: str, made: Made) -> None:
        """Keep what a step has made, at once: the file is written whole or not at all."""
        self.steps[name] = made
        content = {
            "store": self.store,
            "fingerprint": self.fingerprint,
            "steps": {step: asdict(one) for step, one in self.steps.items()},
        }
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


_TUPLES = ("files", "runs", "notes")
