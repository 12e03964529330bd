"""The table of what tags do: one row for each model, subset and tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from explain.erasing.outputs import output_unit

if TYPE_CHECKING:
    import pyarrow as pa

    from explain.erasing.effects_table import StoredEffects


def tags_table(results: Sequence[StoredEffects]) -> pa.Table:
    """One row for each model, subset and tag; a column that no row has a value for is left out."""
    import pyarrow as pa

    from train.display.labels import predictor_label

    rows = []
    for result in results:
        model, p = result.models.first, result.models.parameters
        for subset in result.subsets:
            mae = result.find("mae", subset=subset)
            assert mae is not None
            for tag in result.tags:
                with_tag = result.find("n_with_tag", tag, subset)
                assert with_tag is not None
                row = {
                    "property": p.property,
                    "text_source": result.text,
                    "features": p.features_name,
                    "predictor": predictor_label(model),
                    "encoders": model.encoders,
                    "split": p.split,
                    "fold": result.parameters["fold"],
                    "erasure": result.parameters["erasure"],
                    "n": mae.n,
                    "seeds": len(result.models),
                    "unit": output_unit(model),
                    "subset": subset,
                    "tag": tag,
                    "n_with_tag": with_tag.n,
                    "mae_full": mae.value,
                }
                rows.append(row | _cells(result, tag, subset))
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    return pa.Table.from_pylist([{name: row[name] for name in names} for row in rows])


def _cells(result: StoredEffects, tag: str, subset: str) -> dict[str, float | None]:
    def value(measure: str, attribute: str = "value") -> float | None:
        found = result.find(measure, tag, subset)
        return None if found is None else getattr(found, attribute)

    return {
        "difference": value("comprehensiveness"),
        "low": value("comprehensiveness", "low"),
        "high": value("comprehensiveness", "high"),
        "std": value("comprehensiveness", "std"),
        "p_holm": value("comprehensiveness", "p_holm"),
        "control": value("control"),
        "over_control": value("over_control"),
        "over_low": value("over_control", "low"),
        "over_high": value("over_control", "high"),
        "over_p_holm": value("over_control", "p_holm"),
        "control_words": value("control_words"),
        "over_words": value("over_control_words"),
        "over_words_p_holm": value("over_control_words", "p_holm"),
        "sufficiency": value("sufficiency"),
        "shapley": value("shapley"),
        "shapley_low": value("shapley", "low"),
        "shapley_high": value("shapley", "high"),
        "retrained": value("retrained"),
        "retrained_p_holm": value("retrained", "p_holm"),
    }
