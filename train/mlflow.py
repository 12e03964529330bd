"""Stored models as runs of MLflow: settings, errors, and the history of each training.

Nothing is told that the store does not keep: a run can be made at the end of a training, by
`MlflowRuns` as a callback, or of any stored model later, and says the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import InvalidInputError, MissingDataError, StorageError
from featurestore.identity import canonical_json
from featurestore.session import Session
from train.models import StoredModel

#: A run's tag with the id of its model, by which it is found again.
TAG = "featurestore.model_id"
#: MLflow refuses folders unless this says true, since it keeps them but adds nothing to them.
_FOLDERS_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
# MLflow takes no more at once, and no longer values.
_METRICS_AT_ONCE = 1000
_LONGEST_VALUE = 6000
_DONE = "FINISHED"


@dataclass
class MlflowRuns:
    """Writes models into MLflow, each once; to be called with a session and a stored model.

    Parameters
    ----------
    to : str
        A local folder, which is made, or the URI of a database or server, as
        ``"sqlite:///mlflow.db"``; those need the whole of mlflow.
    experiment : str, optional
        Where the runs go; by default one for each property, called as it.

    Raises
    ------
    MissingDataError
        If MLflow is not installed.
    InvalidInputError
        If it cannot open the place; with its own words.
    """

    to: str = "mlruns"
    experiment: str | None = None
    _client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if "://" not in self.to:
            os.environ.setdefault(_FOLDERS_ALLOWED, "true")
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise MissingDataError(
                "runs of MLflow need a package: pip install 'materials-featurestore[mlflow]'"
            ) from error
        try:
            self._client = MlflowClient(tracking_uri=self.to)
        except Exception as error:  # MLflow's own, and those of the packages of a database
            raise InvalidInputError(f"MLflow cannot open {self.to}: {error}") from error

    def __call__(self, session: Session, model: StoredModel) -> bool:
        """Write a model's run, unless it is there; returns whether it was written.

        A run that was interrupted is marked as killed, and a new one is made.

        Raises
        ------
        StorageError
            If MLflow cannot write it; with its own words.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self._written(session, model)
        except (MlflowException, OSError) as error:
            raise StorageError(f"{model.model_id}: MLflow, at {self.to}: {error}") from error

    def _written(self, session: Session, model: StoredModel) -> bool:
        from mlflow.entities import Metric, Param

        client, experiment = self._client, self._experiment(model)
        for run in client.search_runs([experiment], f"tags.`{TAG}` = '{model.model_id}'"):
            if run.info.status == _DONE:
                return False
            client.set_terminated(run.info.run_id, "KILLED")
        (row,) = session.query(
            "SELECT created_at, history FROM models WHERE model_id = ?", [model.model_id]
        ).to_pylist()
        ended = int(row["created_at"].timestamp() * 1000)
        started = ended - round(1000 * float(model.metrics["seconds"]))
        created = client.create_run(
            experiment,
            start_time=started,
            tags={TAG: model.model_id, "featurestore.view_fingerprint": model.view_fingerprint},
            run_name=model.model_id,
        )
        run_id = created.info.run_id
        points = [
            Metric(f"epoch/{name}", float(epoch[name]), ended, int(epoch["epoch"]))
            for epoch in row["history"]
            for name in ("train_mae", "val_mae")
        ] + [Metric(name, value, ended, 0) for name, value in _errors(model.metrics)]
        said = [Param(name, value[:_LONGEST_VALUE]) for name, value in _parameters(model)]
        client.log_batch(run_id, params=said)
        for first in range(0, len(points), _METRICS_AT_ONCE):
            client.log_batch(run_id, metrics=points[first : first + _METRICS_AT_ONCE])
        client.set_terminated(run_id, _DONE, ended)
        return True

    def _experiment(self, model: StoredModel) -> str:
        name = self.experiment or model.parameters.property
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        if found.lifecycle_stage != "active":
            raise InvalidInputError(
                f"MLflow's experiment {name!r} at {self.to} was deleted: restore it, or name "
                "another"
            )
        return str(found.experiment_id)


def _parameters(model: StoredModel) -> Iterator[tuple[str, str]]:
    """The predictor's settings, and what the view is made of."""
    p = model.parameters
    yield from (
        ("predictor", model.predictor),
        ("seed", str(model.seed)),
        ("property", p.property),
        ("unit", p.unit),
        ("split", str(p.split)),
        ("features", p.features_name),
        ("encoders", model.encoders),
    )
    for name, value in model.settings.items():
        yield f"setting.{name}", value if isinstance(value, str) else canonical_json(value)


def _errors(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of each fold, as ``test_mae``, and of the training as a whole."""
    for fold, measured in metrics["folds"].items():
        for name, value in measured.items():
            if isinstance(value, int | float) and math.isfinite(value):
                yield f"{fold}_{name}", float(value)
    for name in ("epochs", "best_epoch", "seconds"):
        yield name, float(metrics[name])
