from __future__ import annotations

import numpy as np
import pytest
import torch

from train.predictors.network import PAPER_WIDTHS, ResidualMLP


@pytest.mark.parametrize(("n_features", "expected"), [(1536, 8_389_409), (768, 6_816_545)])
def test_parameter_count_is_the_papers(n_features: int, expected: int) -> None:
    network = ResidualMLP(n_features, PAPER_WIDTHS)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_weights_are_glorot_uniform_and_biases_zero() -> None:
    network = ResidualMLP(300, (200,), torch.Generator().manual_seed(0))
    weight = network.hidden[0].weight.detach().numpy()
    bound = np.sqrt(6 / (300 + 200))
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not network.hidden[0].bias.any()
    assert not network.shortcuts[0].bias.any()


def test_the_shortcut_is_added_after_the_activation() -> None:
    network = ResidualMLP(2, (2,))
    with torch.no_grad():
        network.hidden[0].weight.copy_(-torch.eye(2))
        network.output.weight.fill_(1.0)
    # relu(-x) = 0, so that only the identity shortcut is left: 1 + 2
    assert network(torch.tensor([[1.0, 2.0]])).tolist() == [3.0]
