"""What the parts of numbers and of classes have in common: settings, and the terms of use."""

from __future__ import annotations

from featurestore.plugins import Setting
from train.predictors.settings import Count, Number

LICENCE = "MIT"
LICENCE_OF_SKLEARN = "BSD-3-Clause (scikit-learn)"

OF_ENSEMBLE = (
    Count("members", int, 8, "Networks."),
    Count("depth", int, 6, "Their residual layers."),
    Count("width", int, 192, "Of their hidden layers."),
    Count("epochs", int, 40, "Passes of the networks over their rows, in both trainings."),
    Count("batch_size", int, 128, "Rows of a step."),
    Number("learning_rate", float, 2e-3, "AdamW's highest."),
    Number("weight_decay", float, 1e-2, "AdamW's."),
    Count("rows_to_tune", int, 1000, "Random training rows by which the kernel is tuned."),
    Count(
        "rows_of_process",
        int,
        25_000,
        "Rows that the process learns from, of more a random choice; it takes 8 bytes for each "
        "pair of them.",
    ),
    Number(
        "kernel_power",
        float,
        1.0,
        "Power of the kernel's weights by which the networks' segments are sized; 0 leaves "
        "them alike.",
    ),
    Number(
        "column_power",
        float,
        0.0,
        "0 leaves a segment's columns at their sizes, 1 makes them equal.",
    ),
    Number(
        "component_power",
        float,
        0.0,
        "0 leaves a segment's principal components at their sizes, 1 makes them equal.",
    ),
    Setting("learn_from_val", bool, True, "Whether it learns from the validation rows, too."),
)

OF_TREES = (
    Number("learning_rate", float, 0.05, "Shrinkage of each tree."),
    Count("max_leaves", int, 31, "Most leaves of a tree."),
    Count("min_rows_a_leaf", int, 10, "Fewest training rows of a leaf."),
    Number("share_of_features", float, 0.5, "Of the columns, how many a split may choose among."),
    Count("max_epochs", int, 2000, "Most trees."),
    Count("patience", int, 100, "Trees without a lower validation error before it stops."),
)


def of_sklearn(default: str) -> tuple[Setting, ...]:
    """The settings beside the parameters of the class that is named, by default ``default``."""
    return (
        Setting(
            "estimator",
            str,
            default,
            "Name of the class; its parameters are settings, too, as n_estimators=200.",
        ),
        Setting(
            "standardise",
            bool,
            False,
            "Whether each column is centred and scaled to unit variance first.",
        ),
        Setting("learn_from_val", bool, True, "Whether it learns from the validation rows, too."),
    )
