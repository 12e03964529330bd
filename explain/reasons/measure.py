"""Erases parts of a material's text and features, and predicts again by the models of its forecast.

Texts without a sentence or a tag, and without as many random sentences as a tag has, are encoded by
the models' own encoders, as forecasts are. Parts of the features are replaced by their means over
the training materials, as `explain.segments` does. Of classes it is the probability of the one that
is predicted that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from explain.erasing.outputs import outputs
from explain.erasing.texts import ErasedText, erased_texts
from explain.reasons.cases import Known, Reasons, Silenced, Why
from explain.segments.analysis import is_text
from explain.words.analysis import variant_texts
from explain.words.contributions import Contributions, contributions_of
from explain.words.description import Description, describe
from featurestore.errors import InvalidInputError
from featurestore.preparation import MissingVersionError
from featurestore.session import Session
from featurestore.store import FeatureStore
from featurestore.vectors import Vectors
from featurestore.views.candidates import select_candidates
from featurestore.views.view import Block, view_parts
from train.forecasts.forecast import Forecast
from train.forecasts.group import LoadedGroup
from train.forecasts.predictor import Predictor
from train.predictors.registry import reads

#: Forecasts that are explained in one call: each needs some dozen texts to be encoded.
MOST_EXPLAINED = 10
#: Draws of as many random sentences as a tag has.
DRAWS = 5

_ERASURE = "deletion"


@dataclass(frozen=True, eq=False)
class _Text:
    """A text of a material, with the texts that are left without its parts.

    ``text_ids`` has one for each variant.
    """

    erased: ErasedText
    description: Description
    kinds: tuple[str, ...]
    text_ids: dict[str, str] = field(repr=False)


def reasons_of(predictor: Predictor, place: FeatureStore, forecasts: Sequence[Forecast]) -> Reasons:
    """Why materials got their forecasts, while their rows are at hand.

    Parameters
    ----------
    predictor : Predictor
        Which made them.
    place : FeatureStore
        Where the materials are; variants of texts and their vectors go there.
    forecasts : sequence of Forecast
        Of these, the first `MOST_EXPLAINED` are explained.

    Where an encoder of the models is not installed in their version, its texts are left out, and
    the notes of the case say so.
    """
    chosen = forecasts[:MOST_EXPLAINED]
    notes = []
    if len(forecasts) > len(chosen):
        left = forecasts[len(chosen)].material_id
        notes.append(
            f"the first {len(chosen)} of {len(forecasts)} forecasts are explained; choose others "
            f"with: featurestore predict --why --id {left}"
        )
    cases = tuple(_case(predictor, place, forecast) for forecast in chosen)
    return Reasons(tuple(forecasts), cases, tuple(notes))


def _case(predictor: Predictor, place: FeatureStore, forecast: Forecast) -> Why:
    group = predictor.loaded(forecast.group_id)
    notes: list[str] = []
    known = _nearest(predictor.store, forecast)
    if reads(group.stored.first.predictor) == "structures":
        notes.append("the models read the structure itself, of which no part can be taken away")
        return Why(forecast, (), (), known, tuple(notes))
    with place.session() as session:
        texts = _texts(session, group, forecast, notes)
    try:
        _encode(predictor, place, forecast, texts)
    except MissingVersionError as error:
        notes.append(f"nothing is taken from the texts, since {error}")
        texts = []
    with place.session() as session:
        texts = [_encoded(session, text, notes) for text in texts]
        selected, _ = select_candidates(session, group.parameters, [forecast.material_id])
        vectors = [Vectors.of(session, text.erased.encoder) for text in texts]
    view = selected.read()
    full = view.features[0]
    rows = [full]
    for text, stored in zip(texts, vectors, strict=True):
        found = stored.read(list(text.text_ids.values()), text.erased.of_vector)
        changed = np.tile(full, (len(found), 1))
        changed[:, text.erased.start : text.erased.stop] = found
        rows.extend(changed)
    silenced = _silenced(group, view.blocks, full, notes)
    rows.extend(silenced.values())
    asked = [int(forecast.prediction)] * len(rows) if forecast.classes else None
    predictions = np.stack([outputs(model, np.stack(rows), asked) for model in group.models])
    place_of = 1
    contributions: list[Contributions] = []
    for text in texts:
        erased = {variant: predictions[:, place_of + i] for i, variant in enumerate(text.text_ids)}
        place_of += len(erased)
        contributions += _contributions(group, text, forecast, predictions[:, 0], erased)
    segments = tuple(
        Silenced(name, tuple(map(float, predictions[:, 0] - predictions[:, place_of + i])))
        for i, name in enumerate(silenced)
    )
    return Why(forecast, tuple(contributions), segments, known, tuple(notes))


def _nearest(store: FeatureStore, forecast: Forecast) -> tuple[Known, ...]:
    """The nearest training materials with the formulas that the models' store knows."""
    with store.session() as session:
        rows = session.query(
            "SELECT material_id, formula FROM materials WHERE material_id IN "
            "(SELECT unnest(?::VARCHAR[]))",
            [[name for name, _ in forecast.nearest]],
        ).to_pylist()
    formulas = {row["material_id"]: row["formula"] for row in rows}
    return tuple(Known(name, formulas.get(name), target) for name, target in forecast.nearest)


def _texts(
    session: Session, group: LoadedGroup, forecast: Forecast, notes: list[str]
) -> list[_Text]:
    """The texts that can be erased from, with what is left in each variant."""
    if not group.parameters.texts:
        return []
    try:
        readable = erased_texts(session, group.stored.first)
    except InvalidInputError as error:
        notes.append(str(error))
        return []
    found = []
    for erased in readable:
        description = describe(session, forecast.material_id, erased.generator.generator_id)
        kinds: list[str] = []
        variants: list[str] = []
        for kind in ("sentence", "tag"):
            try:
                units = description.units(kind)
            except InvalidInputError:
                notes.append(f"the {description.source} text is one {kind}: nothing is left of it")
                continue
            kinds.append(kind)
            variants += [unit.variant(_ERASURE) for unit in units]
            if kind == "tag":
                variants += [_control(unit.part, draw) for unit in units for draw in range(DRAWS)]
        ids = variant_texts(session, description, list(dict.fromkeys(variants)))
        found.append(_Text(erased, description, tuple(kinds), ids))
    return found


def _control(tag: str, draw: int) -> str:
    """The variant without as many random sentences as a tag has."""
    return f"without:random:{draw}:{tag}"


def _encode(
    predictor: Predictor, place: FeatureStore, forecast: Forecast, texts: Sequence[_Text]
) -> None:
    """Have the vectors made that lack, by the models' own encoders."""
    wanted = []
    with place.session() as session:
        for text in texts:
            absent = set(
                Vectors.of(session, text.erased.encoder).missing(list(text.text_ids.values()))
            )
            wanted += [
                replace(text.erased.feature, variant=variant)
                for variant, one in text.text_ids.items()
                if one in absent
            ]
    if wanted:
        predictor.preparation.vectors(place, wanted, [forecast.material_id])


def _encoded(session: Session, text: _Text, notes: list[str]) -> _Text:
    """The text with those variants alone that have a vector by now; others are named."""
    absent = set(Vectors.of(session, text.erased.encoder).missing(list(text.text_ids.values())))
    lost = [variant for variant, one in text.text_ids.items() if one in absent]
    if not lost:
        return text
    notes.append(
        f"{len(lost)} variants of the {text.description.source} text could not be encoded, for "
        f'example {lost[0]}; see: featurestore sql "FROM failures"'
    )
    kept = {variant: one for variant, one in text.text_ids.items() if one not in absent}
    kinds = tuple(
        kind
        for kind in text.kinds
        if all(unit.variant(_ERASURE) in kept for unit in text.description.units(kind))
    )
    return replace(text, kinds=kinds, text_ids=kept)


def _silenced(
    group: LoadedGroup, blocks: Sequence[Block], full: npt.NDArray[np.float32], notes: list[str]
) -> dict[str, npt.NDArray[np.float32]]:
    """The features with each part replaced by its training mean, the structure's parts first."""
    trained = group.knowledge.domain.features
    parts = view_parts(blocks)
    if len(parts) < 2:
        return {}
    if not len(trained) or trained.shape[1] != len(full):
        notes.append("the training materials' vectors are not at hand: no part is replaced")
        return {}
    # In float64: a float32 sum over tens of thousands of rows loses digits.
    mean = trained.mean(axis=0, dtype=np.float64).astype(np.float32)
    found = {}
    for name in sorted(parts, key=is_text):
        start, stop = parts[name]
        found[name] = full.copy()
        found[name][start:stop] = mean[start:stop]
    return found


def _contributions(
    group: LoadedGroup,
    text: _Text,
    forecast: Forecast,
    predictions: npt.NDArray[np.float64],
    erased: dict[str, npt.NDArray[np.float64]],
) -> list[Contributions]:
    found = []
    for kind in text.kinds:
        of_kind = contributions_of(
            group.stored,
            text.erased,
            text.description,
            kind,
            _ERASURE,
            target=forecast.target,
            predictions=predictions,
            erased=erased,
        )
        if kind == "tag":
            parts = tuple(
                replace(
                    part,
                    controls=tuple(
                        float((predictions - erased[variant]).mean())
                        for draw in range(DRAWS)
                        if (variant := _control(part.unit.part, draw)) in erased
                    ),
                )
                for part in of_kind.parts
            )
            of_kind = replace(of_kind, parts=parts)
        found.append(of_kind)
    return found
