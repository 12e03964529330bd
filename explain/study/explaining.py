"""Measures what ``[explanations.NAME]`` asks for of trained models, and draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import pyarrow as pa

from explain.study.making import Output, Workshop
from explain.study.steps import Step
from featurestore.commands import run
from featurestore.errors import FeatureStoreError, MissingDataError
from featurestore.output.names import file_name
from featurestore.output.rows import write_table
from train.models import SeedGroup, StoredModel, find_models, seed_groups

# What one property of the models gives: a table, and the files that were drawn.
Explained = tuple[pa.Table, list[str]]


def make_explanation(shop: Workshop, step: Step) -> Output:
    """Explain the chosen models, property by property.

    A property that cannot be explained is noted and the others go on.

    Raises
    ------
    MissingDataError
        If none can be.
    """
    explain_one = _METHODS[step.said["method"]]
    tables: list[pa.Table] = []
    files: list[str] = []
    notes: list[str] = []
    for name, models in _by_property(shop, step):
        try:
            table, drawn = explain_one(shop, step, name, models)
        except FeatureStoreError as error:
            notes.append(f"{name}: {error}")
            continue
        shop.say(f"{name}: {len(models)} models explained")
        tables.append(table)
        files += drawn
    if not tables:
        raise MissingDataError("nothing could be explained: " + "; ".join(notes))
    whole = pa.concat_tables(tables, promote_options="permissive")
    numbers = [file_name("explanation", step.entry, suffix=suffix) for suffix in (".json", ".csv")]
    for path in numbers:
        write_table(whole, shop.folder / path)
    facts = {"rows": whole.num_rows, "digest": _digest(whole)}
    return Output(facts, files=[*numbers, *files], notes=notes)


def _digest(table: pa.Table) -> str:
    from featurestore.identity import sha256_hex

    return sha256_hex(repr(table.to_pylist()).encode("utf-8", "surrogatepass"))[:16]


def _by_property(shop: Workshop, step: Step) -> Iterator[tuple[str, list[StoredModel]]]:
    """The chosen models of the training, by their property."""
    said = step.said
    groups = [
        group
        for group in shop.made("training", said["training"])["groups"]
        if group["features"] is not None
        and ("features" not in said or group["features"] in said["features"])
        and ("predictor" not in said or group["predictor"] == said["predictor"])
        and ("properties" not in said or group["property"] in said["properties"])
    ]
    for name, members in groupby(groups, key=lambda group: group["property"]):
        ids = [model for group in members for model in group["models"]]
        with shop.store.session() as session:
            yield name, find_models(session, ids)


def _tags(shop: Workshop, step: Step, name: str, models: Sequence[StoredModel]) -> Explained:
    import explain
    from explain.tags.heatmap import write_tag_heatmap
    from explain.tags.table import tags_table

    said = step.said
    found = explain.erase_tags(
        shop.store,
        models,
        encode=run,
        control_seeds=tuple(range(said.get("controls", 3))),
        sets=said.get("sets", False),
        retrain=said.get("retrain", False),
        by=said.get("by"),
        at_least=said.get("at-least", 10),
    )
    figure = _figure(step, name)
    write_tag_heatmap(found, shop.folder / figure)
    return tags_table(found), [figure]


def _segments(shop: Workshop, step: Step, name: str, models: Sequence[StoredModel]) -> Explained:
    from explain.segments.analysis import segment_effects, segments_table
    from explain.segments.figure import write_segments_figure

    said = step.said
    found = segment_effects(
        shop.store, models, fold="test", by=said.get("by"), at_least=said.get("at-least", 5)
    )
    figure = _figure(step, name)
    write_segments_figure(found, shop.folder / figure)
    return segments_table(found), [figure]


def _groups(shop: Workshop, step: Step, name: str, models: Sequence[StoredModel]) -> Explained:
    from train.analysis.groups import group_errors, groups_table
    from train.analysis.groups_figure import write_groups_figure

    by = step.said.get("by", "crystal_system")
    with shop.store.session() as session:
        found = group_errors(session, seed_groups(models), by, step.said.get("at-least", 5))
    figure = _figure(step, name)
    write_groups_figure(found, by, shop.folder / figure)
    return groups_table(found), [figure]


def _parity(shop: Workshop, step: Step, name: str, models: Sequence[StoredModel]) -> Explained:
    from train.analysis.ablation import ablation_rows, ablation_table
    from train.analysis.parity import write_parity_plot

    figure = _figure(step, name)
    with shop.store.session() as session:
        rows = ablation_rows(session, models)
        write_parity_plot(session, rows, shop.folder / figure)
    drawn = (shop.folder / figure).is_file()
    return ablation_table(rows), [figure] if drawn else []


def _words(shop: Workshop, step: Step, name: str, models: Sequence[StoredModel]) -> Explained:
    import explain
    from explain.words.contributions import contributions_table
    from explain.words.figure import write_text_figure

    tables, files = [], []
    for group in seed_groups(models):
        for material in _chosen(shop, group, step.said.get("materials", 3)):
            (found,) = explain.erase_words(
                shop.store, material, group.first.model_id, kinds=("word",), encode=run
            )
            figure = _figure(step, name, group.first.model_id, material)
            write_text_figure(found, shop.folder / figure)
            tables.append(contributions_table(found))
            files.append(figure)
    return pa.concat_tables(tables, promote_options="permissive"), files


def _chosen(shop: Workshop, group: SeedGroup, count: int) -> list[str]:
    """Test materials from the best to the worst predicted, at equal distances."""
    from explain.erasing.rows import stored_predictions
    from explain.report.folds import by_error

    with shop.store.session() as session:
        stored = stored_predictions(session, group)
    order = by_error(stored)
    if not len(order):
        raise MissingDataError("the test fold is empty")
    places = {round(i * (len(order) - 1) / max(count - 1, 1)) for i in range(count)}
    return [str(stored.material_ids[order[place]]) for place in sorted(places)]


def _figure(step: Step, *parts: str) -> str:
    return file_name("explanation", step.entry, *parts, suffix=".png")


_METHODS: dict[str, Callable[[Workshop, Step, str, Sequence[StoredModel]], Explained]] = {
    "tags": _tags,
    "segments": _segments,
    "words": _words,
    "groups": _groups,
    "parity": _parity,
}
