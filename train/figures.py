"""Figures of stored models for programs and notebooks; `featurestore train` writes the same."""

from __future__ import annotations

from featurestore.errors import InvalidInputError
from featurestore.output.figure import Figure
from featurestore.session import Session
from featurestore.store import FeatureStore
from train.analysis.ablation import ablation_rows
from train.analysis.curve import loss_curve_figure
from train.analysis.groups import group_errors
from train.analysis.groups_figure import groups_figure
from train.analysis.parity import parity_figure
from train.analysis.reliability import reliability_figure
from train.models import StoredModel, find_model, find_models, seed_groups, stored_history


def draw_parity(store: FeatureStore, *models: str) -> Figure:
    """Predicted against target on the test fold; of classes how often probabilities come true.

    Parameters
    ----------
    store : FeatureStore
        Read.
    *models : str
        Ids or their beginnings, of one property; those that differ only by their seed share a
        panel.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If a name is of no model or of several, or the models are of several properties.
    MissingDataError
        If no model has test predictions.
    """
    with store.session() as session:
        chosen = _of_one_property(session, models)
        rows = ablation_rows(session, chosen)
        if chosen[0].parameters.classes:
            return reliability_figure(rows)
        return parity_figure(session, rows)


def draw_groups(
    store: FeatureStore, *models: str, by: str = "crystal_system", at_least: int = 5
) -> Figure:
    """Errors by group of test materials; raises as `draw_parity` and `group_errors` do.

    Parameters
    ----------
    store : FeatureStore
        Read.
    *models : str
        As for `draw_parity`.
    by : str
        SQL expression over the columns of ``materials``.
    at_least : int
        Groups with fewer test materials are put together.
    """
    with store.session() as session:
        chosen = seed_groups(_of_one_property(session, models))
        return groups_figure(group_errors(session, chosen, by, at_least), by)


def draw_loss(store: FeatureStore, model: str) -> Figure:
    """Training and validation error by epoch.

    Raises
    ------
    UnknownNameError, InvalidInputError
        If the name is of no model or of several.
    MissingDataError
        If the model was not trained by epochs.
    """
    with store.session() as session:
        found = find_model(session, model)
        return loss_curve_figure(found, stored_history(session, found.model_id))


def _of_one_property(session: Session, names: tuple[str, ...]) -> list[StoredModel]:
    if not names:
        raise InvalidInputError("name a model: train.stored(store) lists them")
    found = find_models(session, names)
    properties = sorted({model.parameters.property for model in found})
    if len(properties) > 1:
        raise InvalidInputError(
            f"one figure is for one property; these models are of {', '.join(properties)}"
        )
    return found
