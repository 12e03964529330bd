"""A model's folder for the JARVIS-Leaderboard: predictions, metadata.json, run.sh."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from featurestore.commands import shown, training_command
from featurestore.errors import InvalidInputError
from featurestore.output.rows import atomic_path
from featurestore.session import Session
from featurestore.tables.runs import recorded_versions
from train.analysis.leaderboard import leaderboard_name, write_leaderboard
from train.models import StoredModel
from train.predictors.registry import changed_settings


@dataclass(frozen=True)
class Contributor:
    """Who contributes, and what cannot be known here.

    Parameters
    ----------
    team, email, url : str
        ``url`` is of the publication or project.
    git_urls : sequence of str
        Of the code.
    database_version : str
        Of the leaderboard's data set, as ``12-12-2022``.
    hardware : str
        What it was trained on.
    day : date
        Of the contribution.
    """

    team: str
    email: str
    url: str
    git_urls: Sequence[str]
    database_version: str
    hardware: str
    day: date


def write_contribution(
    session: Session,
    model: StoredModel,
    folder: Path,
    contributor: Contributor,
    dataset: str | None = None,
) -> list[Path]:
    """Write the three files that the leaderboard takes of a contribution.

    The keys of ``metadata.json`` are those of the leaderboard's own contributions.

    Parameters
    ----------
    session : Session
        Where the predictions are.
    model : StoredModel
        Whose.
    folder : Path
        Named as the contribution; it must not have such files yet.
    contributor : Contributor
    dataset : str, optional
        The leaderboard's name of the data set; by default that of the test materials.

    Raises
    ------
    InvalidInputError
        If the folder has one of the files.
    MissingDataError
        If there are no test predictions, or of several data sets.
    StorageError
        If a file cannot be written.
    """
    predictions = folder / leaderboard_name(session, model, dataset)
    metadata, script = folder / "metadata.json", folder / "run.sh"
    paths = [predictions, metadata, script]
    for path in paths:
        if path.exists():
            raise InvalidInputError(f"{path} is there already: name another folder")
    versions = recorded_versions()
    content = {
        "model_name": folder.name,
        "project_url": contributor.url,
        "date_submitted": f"{contributor.day:%m-%d-%Y}",
        "author_email": contributor.email,
        "database_version": contributor.database_version,
        "team_name": contributor.team,
        "time_taken_seconds": round(float(model.metrics["seconds"]), 2),
        "language": "python",
        "os": platform.system().lower(),
        "software_used": ",".join(f"{name}=={version}" for name, version in versions.items()),
        "hardware_used": contributor.hardware,
        "git_url": list(contributor.git_urls),
    }
    write_leaderboard(session, model, predictions)
    settings = changed_settings(
        model.predictor, model.settings, classes=bool(model.parameters.classes)
    )
    command = training_command(model.parameters, model.predictor, settings, model.seed)
    lines = [
        "#!/bin/sh",
        f"# Model {model.model_id}, view {model.view_fingerprint}",
        shown(command),
        shown(("featurestore", "train", "leaderboard", model.model_id)),
    ]
    with atomic_path(metadata) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=4) + "\n", "utf-8")
    with atomic_path(script) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return paths
