"""The models of one seed group, loaded, with all that forecasts need beside them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.identity import versioned_id
from featurestore.store import FeatureStore
from featurestore.views.parameters import ViewParameters
from featurestore.views.view import TrainingView
from train.crossfit.class_sets import ClassCrossCalibration
from train.crossfit.cv_plus import CrossCalibration
from train.crossfit.predictor import CrossFitted
from train.forecasts.calibration import Bounds
from train.forecasts.classes import ClassCalibration, ToldOfClasses, as_stored
from train.forecasts.domain import Distances
from train.forecasts.knowledge import Knowledge, stored_knowledge
from train.models import SeedGroup
from train.predictors.base import UncertainPredictor
from train.predictors.loading import LoadedModel, load_models
from train.predictors.registry import reads

Floats = npt.NDArray[np.float64]

#: Stored and repeated predictions of one material differ by less, relative to the targets.
SAME = 1e-5


@dataclass(frozen=True, eq=False)
class LoadedGroup:
    """A seed group that can predict.

    Parameters
    ----------
    stored : SeedGroup
        Its rows.
    models : tuple of LoadedModel
        In the order of the seeds.
    knowledge : Knowledge
        Of the group.
    """

    stored: SeedGroup
    models: tuple[LoadedModel, ...] = field(repr=False)
    knowledge: Knowledge = field(repr=False)

    @property
    def group_id(self) -> str:
        """The property and ten digits over the models' ids."""
        return group_id(self.stored)

    @property
    def parameters(self) -> ViewParameters:
        """The models' training view."""
        return self.stored.parameters


@dataclass(frozen=True, eq=False)
class Told:
    """What a group says of some rows.

    Parameters
    ----------
    of_seeds : ndarray, shape (n, seeds), float64
        The prediction of each model.
    bounds : Bounds
        Of their mean.
    distances : Distances or None
        None for a model that reads no vectors.
    classes : ToldOfClasses or None
        Of a property of classes; ``of_seeds`` are places of classes then.
    """

    of_seeds: Floats
    bounds: Bounds
    distances: Distances | None
    classes: ToldOfClasses | None = None

    @property
    def prediction(self) -> Floats:
        """The mean over seeds, or the place of the most probable class, shape (n,)."""
        if self.classes is not None:
            return self.classes.probabilities.argmax(axis=1).astype(np.float64)
        if self.of_seeds.shape[1] == 1:
            return np.asarray(self.of_seeds[:, 0])
        return np.asarray(self.of_seeds.mean(axis=1))

    @property
    def interval(self) -> tuple[Floats, Floats] | None:
        """Lower and upper ends, each of shape (n,), of the 90 % intervals; None for none."""
        return self.bounds.interval(self.prediction)


def group_id(group: SeedGroup) -> str:
    """What names a seed group: the property as it was called then, and ten digits of the ids."""
    ids = sorted(group.model_ids)
    return versioned_id(group.first.trained_as.property, {"models": ids})


def load_group(store: FeatureStore, group: SeedGroup) -> LoadedGroup:
    """Load the models of a group, and learn what they know from the store.

    Raises
    ------
    InvalidInputError, MissingPackageError, PartImportError, PartConflictError, NotAPartError
        If a model does not load; see `load_model`.
    """
    from train.sharing.imported import imported_knowledge

    models = load_models(store, group)
    knowledge = imported_knowledge(store, group) or stored_knowledge(store, group, models)
    return LoadedGroup(group, models, knowledge)


def tell(
    group: LoadedGroup, store: FeatureStore, view: TrainingView, known: FeatureStore
) -> tuple[Told, npt.NDArray[np.bool_], dict[str, Failure]]:
    """What a group says of the rows of a view.

    A number that a model has stored for a material is the one that is told: computed again among
    other rows, it may differ in the last digits. It counts if the two agree but for that, that is,
    if the material is still the one it was.

    Parameters
    ----------
    group : LoadedGroup
        The models.
    store : FeatureStore
        Where the rows' structures are.
    view : TrainingView
        The rows.
    known : FeatureStore
        Where the models' predictions are.

    Returns
    -------
    Told
        Of the rows that every model can read.
    ndarray, shape (n,), bool
        Which rows these are.
    dict of str to Failure
        Why the others cannot be read, by material.
    """
    readable: npt.NDArray[np.bool_] = np.ones(len(view), bool)
    failures: dict[str, Failure] = {}
    if reads(group.stored.first.predictor) == "structures":
        readable, failures = _readable(group, store, view)
        view = _rows(view, readable)
    predictions = np.empty((len(view), len(group.models)))
    stds = np.full(predictions.shape, np.nan)
    shares = np.empty((*predictions.shape, len(group.parameters.classes)))
    of_folds: list[Floats] = []
    for place, model in enumerate(group.models):
        inputs = model.inputs(store, view)
        if group.parameters.classes:
            shares[:, place] = model.probabilities(inputs) if len(view) else shares[:, place]
            predictions[:, place] = shares[:, place].max(axis=1)
            if isinstance(model.predictor, CrossFitted) and len(view):
                of_folds.append(model.predictor.say_of_folds(inputs))
            continue
        predictions[:, place] = model.predict(inputs) if len(view) else np.empty(0)
        if isinstance(model.predictor, UncertainPredictor) and len(view):
            found = model.predictor.uncertainty(inputs)
            if found is not None:
                stds[:, place] = found.std
        if isinstance(model.predictor, CrossFitted) and len(view):
            of_folds.append(model.predictor.say_of_folds(inputs))
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(predictions).all(axis=1))
    if not finite.all():
        for row in np.flatnonzero(~finite):
            name = view.material_ids[int(row)]
            failures[name] = Failure("NotFinite", "the model predicts no finite number for it")
        readable[np.flatnonzero(readable)[~finite]] = False
        predictions, stds, view = predictions[finite], stds[finite], _rows(view, finite)
        shares = shares[finite]
    domain = group.knowledge.domain
    rounding = SAME * float(np.std(domain.targets)) if len(domain.targets) else 0.0
    calibration, cross = group.knowledge.calibration, group.knowledge.cross
    # what models of all rows have stored is out of fold, and not what they say now
    if cross is None and not group.parameters.classes:
        _as_stored(group, known, view, predictions, stds, rounding)
    distances = None
    if domain.has_distances and len(view):
        distances = domain.distances(view.features, view.material_ids)
    if isinstance(calibration, ClassCalibration):
        if cross is None:
            with known.session() as session:
                as_stored(session, group.stored.model_ids, view.material_ids, shares)
        mean = shares.mean(axis=1)
        if isinstance(cross, ClassCrossCalibration):
            said = np.mean(of_folds, axis=0)[finite] if of_folds else np.empty((0, 1, 1))
            sets, how = cross.sets(said, mean), cross.said
        else:
            sets, how = calibration.sets(mean), calibration.said
        told, bounds = ToldOfClasses(mean, sets), Bounds(None, None, how)
        places = shares.argmax(axis=2).astype(np.float64)
        return Told(places, bounds, distances, told), readable, failures
    own = None if np.isnan(stds).any() or not stds.size else _joint(stds)
    ratios = None if distances is None else distances.ratio
    if isinstance(cross, CrossCalibration) and of_folds:
        bounds = cross.bounds(np.mean(of_folds, axis=0)[finite], ratios, calibration)
    else:
        bounds = calibration(len(view), own, ratios)
    return Told(predictions, bounds, distances), readable, failures


def _joint(stds: Floats) -> Floats:
    """One standard deviation for the models' mean: the root mean square of theirs."""
    if stds.shape[1] == 1:
        return np.asarray(stds[:, 0])
    return np.asarray(np.sqrt(np.mean(stds**2, axis=1)))


def _as_stored(
    group: LoadedGroup,
    known: FeatureStore,
    view: TrainingView,
    predictions: Floats,
    stds: Floats,
    rounding: float,
) -> None:
    """Put stored predictions in the place of those that differ by no more than the rounding."""
    with known.session() as session:
        rows = session.query(
            "SELECT model_id, material_id, prediction, std FROM predictions WHERE model_id IN "
            "(SELECT unnest(?::VARCHAR[])) AND material_id IN (SELECT unnest(?::VARCHAR[]))",
            [group.stored.model_ids, view.material_ids],
        ).to_pylist()
    column = {model_id: place for place, model_id in enumerate(group.stored.model_ids)}
    at = {material_id: place for place, material_id in enumerate(view.material_ids)}
    for row in rows:
        place = at[row["material_id"]], column[row["model_id"]]
        same = rounding + SAME * abs(row["prediction"])
        if abs(row["prediction"] - predictions[place]) <= same:
            predictions[place] = row["prediction"]
            if row["std"] is not None:
                stds[place] = row["std"]


def _readable(
    group: LoadedGroup, store: FeatureStore, view: TrainingView
) -> tuple[npt.NDArray[np.bool_], dict[str, Failure]]:
    """Which rows a model of structures can read: all at once, or where one fails, each alone."""
    model = group.models[0]
    try:
        model.inputs(store, view)
        return np.ones(len(view), bool), {}
    except InvalidInputError:
        failures = {}
        for row in range(len(view)):
            alone = np.arange(len(view)) == row
            try:
                model.inputs(store, _rows(view, alone))
            except InvalidInputError as error:
                failures[view.material_ids[row]] = Failure.of(error)
        return np.array([one not in failures for one in view.material_ids], dtype=bool), failures


def _rows(view: TrainingView, chosen: npt.NDArray[np.bool_]) -> TrainingView:
    if chosen.all():
        return view
    import pyarrow as pa

    return TrainingView(
        parameters=view.parameters,
        sql=view.sql,
        rows=view.rows.filter(pa.array(chosen, pa.bool_())),
        features=view.features[chosen],
        blocks=view.blocks,
        excluded=view.excluded,
        versions=view.versions,
    )
