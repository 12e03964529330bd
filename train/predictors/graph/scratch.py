"""ALIGNN trained from scratch on a property: a recipe whose inputs are graphs, not vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from featurestore.errors import InvalidInputError
from featurestore.failure import Failure
from featurestore.output.progress import Progress
from featurestore.store import FeatureStore
from featurestore.stored_structures import stored_crystals
from featurestore.views.view import TrainingView
from train.predictors.base import Examples, Fitted
from train.predictors.graph.examples import GraphExample, graph_examples
from train.predictors.graph.network import AlignnRegressor
from train.predictors.graph.trainer import GraphRows, GraphTrainer, GraphTraining, predict


@dataclass(frozen=True, eq=False)
class AlignnPredictor:
    """A trained `AlignnRegressor`, in the unit of its targets."""

    network: AlignnRegressor
    training: GraphTraining

    @classmethod
    def from_bytes(cls, settings: Mapping[str, Any], weights: bytes) -> AlignnPredictor:
        """Restore a predictor from its safetensors bytes."""
        training = GraphTraining(**settings)
        network = AlignnRegressor(training.architecture)
        network.load_checkpoint_state(load_tensors(weights))
        return cls(network.eval(), training)

    @property
    def n_features(self) -> int:
        """It takes no vectors."""
        return 0

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[np.object_]:
        """The graphs of the view's structures, as `view_graphs` gives them."""
        return view_graphs(store, view, self.training)

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Predictions, float64 of shape (n,), for an array of n `GraphExample` objects."""
        return predict(self.network, list(features), self.training.reference)

    def to_bytes(self) -> bytes:
        """The weights under the names of published checkpoints, in the safetensors format."""
        state = self.network.checkpoint_state()
        return bytes(save_tensors({name: value.contiguous() for name, value in state.items()}))


@dataclass(frozen=True)
class Alignn(GraphTraining):
    """The recipe: `GraphTrainer` on graphs of the view's structures."""

    name: ClassVar[str] = "alignn"

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the training as JSON values."""
        return asdict(self)

    @property
    def max_epochs(self) -> int:
        """Passes over the training rows."""
        return self.epochs

    def inputs(self, store: FeatureStore, view: TrainingView) -> npt.NDArray[np.object_]:
        """The graphs of the view's structures, as `view_graphs` gives them."""
        return view_graphs(store, view, self)

    def fit(self, train: Examples, val: Examples, seed: int, progress: Progress) -> Fitted:
        """Train a network on `GraphExample` objects.

        Raises
        ------
        TrainingError
            If the training diverges.
        """
        trainer = GraphTrainer(self, _rows(train), _rows(val), seed)
        network = trainer.fit(progress)
        return Fitted(
            predictor=AlignnPredictor(network, self),
            history=trainer.history,
            best_epoch=trainer.best_epoch,
        )


def view_graphs(
    store: FeatureStore, view: TrainingView, training: GraphTraining
) -> npt.NDArray[np.object_]:
    """The graphs of a view's structures: `GraphExample` objects, shape (n,).

    Raises
    ------
    InvalidInputError
        If a structure makes no graph.
    """
    wanted: Sequence[str] = view.rows["structure_id"].to_pylist()
    made: dict[str, GraphExample] = {}
    with store.session() as session:
        crystals = stored_crystals(session, sorted(set(wanted)))
        for structure_id, example in graph_examples(crystals, training.graph):
            if isinstance(example, Failure):
                culprit = view.material_ids[wanted.index(structure_id)]
                raise InvalidInputError(
                    f"material {culprit!r} makes no graph: {example.message}; leave it out of "
                    "the split"
                )
            made[structure_id] = example
    graphs = np.empty(len(wanted), dtype=np.object_)
    graphs[:] = [made[structure_id] for structure_id in wanted]
    return graphs


def _rows(examples: Examples) -> GraphRows:
    return GraphRows(list(examples.features), examples.targets)
