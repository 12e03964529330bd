"""Models in tables and figures: what they share is said once, what differs tells them apart."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from featurestore.identity import canonical_json
from train.models import StoredModel


def predictor_label(model: StoredModel) -> str:
    """The predictor's name, with the settings in which it departs from its defaults."""
    from train.predictors.registry import changed_settings

    classes = bool(model.parameters.classes)
    changed = [
        f"{name}={canonical_json(value)}"
        for name, value in changed_settings(model.predictor, model.settings, classes).items()
    ]
    return " ".join([model.predictor, *changed])


def features_label(model: StoredModel) -> str:
    """The features, with the text source where there is text."""
    p = model.parameters
    label = p.features_name.replace("text", model.text_source or "text")
    return label if p.variant == "full" else f"{label} ({p.variant})"


def distinctions(models: Sequence[StoredModel], labels: Sequence[Hashable]) -> list[list[str]]:
    """For each model, in words, what sets it apart from the others that have the same label."""
    words: list[tuple[str, ...]] = [
        (
            str(model.parameters.split),
            model.parameters.features_name,
            *model.encoders.split(" + "),
            predictor_label(model),
            f"seed {model.seed}",
        )
        for model in models
    ]
    keys = list(zip(labels, words, strict=True))
    words = [
        own if keys.count(key) == 1 else (*own, f"view {model.view_fingerprint[:8]}")
        for own, key, model in zip(words, keys, models, strict=True)
    ]
    return [
        [
            word
            for word in own
            if any(word not in words[i] for i, other in enumerate(labels) if other == label)
        ]
        for own, label in zip(words, labels, strict=True)
    ]
