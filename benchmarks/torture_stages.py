"""Every writing command as a stage of the making of one small store, for `torture_crashes`.

From structures to a first model; then forecasts, and the store grows, by targets, a table, a
provider and an update, and loses names and rows; last a snapshot and maintenance. Each stage is
what a command does, by the same functions, and can be run again after it was cut off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torture_files import PROPERTY, opened, reach_tests, write_candidates

MATERIALS = 12
SPLIT = "random"


@dataclass(frozen=True)
class Stage:
    """A writing command as a function of the store's folder."""

    name: str
    work: Callable[[str], Any]


def stages(folder: Path, provider: str) -> list[Stage]:
    """The stages, with tiny random weights and files of candidates written below ``folder``.

    Parameters
    ----------
    folder : Path
        Theirs.
    provider : str
        The base address of an OPTIMADE server, see `optimade_pages`; without one, what comes after
        the first model is left out.
    """
    import ingest.pipeline.job as pipeline
    import ingest.stages.embeddings as embeddings
    import ingest.stages.structures as structures
    import ingest.stages.text as text
    from ingest.encoders.load import load_encoder
    from ingest.preparation import ModelPreparation

    reach_tests()
    from tiny_alignn import write_tiny_alignn
    from tiny_bert import write_tiny_bert

    graph, words = folder / "tiny-alignn", folder / "tiny-bert"
    write_tiny_alignn(graph)
    write_tiny_bert(words)
    os.chdir(folder)  # encoders are found by their names
    write_candidates(folder)
    # Many small writes, so that most moments fall near one; one item a call, so that a vector does
    # not depend on its neighbours; no worker processes, which hold no store.
    structures._BATCH = 4
    embeddings._ITEMS_A_CALL, embeddings._ITEMS_A_WRITE = 1, 3
    pipeline._SECONDS_A_WRITE = 0.05
    text._STRUCTURES_A_WRITE = 3
    text.InWorkers = _in_this_process  # type: ignore[attr-defined, assignment]
    loaded = {one.spec.encoder_id: one for one in map(load_encoder, (str(graph), str(words)))}
    ModelPreparation._loaded = lambda self, encoder: loaded[encoder.encoder_id]  # type: ignore[method-assign]
    ModelPreparation._pool = lambda self, *_: None  # type: ignore[assignment, method-assign, return-value]
    of_structures, of_texts = loaded.values()
    return [
        Stage("structures", _structures),
        Stage("splits", _splits),
        Stage("text", _text),
        Stage("structure vectors", partial(_structure_vectors, encoder=of_structures, named=graph)),
        Stage("text vectors", partial(_text_vectors, encoder=of_texts, named=words)),
        Stage("train", _train),
        *(_growth(folder, provider) if provider else []),
        Stage("snapshot", _snapshot),
        Stage("maintain", _maintain),
    ]


def _growth(folder: Path, provider: str) -> list[Stage]:
    """What comes after the first model."""
    return [
        Stage("predict", partial(_predict, files=folder / "candidates")),
        Stage("screen", partial(_screen, files=folder / "screened")),
        Stage("targets", partial(_targets, file=folder / "targets.csv")),
        Stage("table", partial(_table, file=folder / "table.jsonl")),
        Stage("optimade", partial(_optimade, provider=provider)),
        Stage("extend", _extend),
        Stage("update", _update),
        Stage("rename", _rename),
        Stage("remove", _remove),
    ]


def preload() -> None:
    """Import what the stages need, so that a forked process is at its work at once."""
    import importlib

    for module in (
        *("lance", "lancedb", "featurestore.upkeep.maintenance", "featurestore.upkeep.verify"),
        *(
            "featurestore.upkeep.removals",
            "featurestore.upkeep.renamings.splits",
            "featurestore.cli",
        ),
        *("ingest.library.providers", "ingest.library.splits", "ingest.library.tables"),
        *(
            "ingest.library.targets",
            "ingest.cli.embeddings",
            "ingest.cli.text",
            "ingest.cli.splits",
        ),
        *("train.predictors.mlp", "train.training", "train.upkeep", "train.cli.fit"),
        *("train.forecasts.predictor", "train.screening.screen"),
    ):
        importlib.import_module(module)
    from featurestore.tables.runs import git_commit, recorded_versions
    from ingest.text.registry import generator

    generator("chemnlp").warm_up()
    recorded_versions()
    git_commit()


def _in_this_process(*, work: Any, initializer: Any, initargs: Any, **_: Any) -> Any:
    from ingest.pipeline.engines import InThisProcess

    initializer(*initargs)
    return InThisProcess(lambda items: [work(item) for item in items], 1)


def _structures(uri: str) -> None:
    from featurestore.output.progress import progress_bar
    from featurestore.registry import load_registry
    from ingest.sample import sample_archive
    from ingest.stages.structures import ingest_structures
    from ingest.structures.jarvis import read_jarvis

    store = opened(uri)
    records = [record for record in read_jarvis(sample_archive()) if PROPERTY in record.targets]
    with (
        store.run("ingest structures", {}) as run,
        progress_bar(None, "structures", "materials") as progress,
    ):
        ingest_structures(
            store,
            sorted(records, key=lambda record: record.structure.n_atoms)[:MATERIALS],
            dataset="sample",
            registry=load_registry(),
            run=run,
            progress=progress,
            workers=1,
        )


def _splits(uri: str) -> None:
    from ingest.library.splits import add_splits

    add_splits(opened(uri), random="60/20/20", property=PROPERTY, name=SPLIT)


def _text(uri: str) -> None:
    from ingest.stages.selection import Selection
    from ingest.stages.text import ingest_text

    store = opened(uri)
    with store.run("ingest text", {}) as run:
        ingest_text(
            store,
            "chemnlp",
            settings={},
            selection=Selection(),
            workers=1,
            time_limit=60,
            retry_failures=True,
            run=run,
        )


def _structure_vectors(uri: str, encoder: Any, named: Path) -> None:
    from ingest.stages.embeddings import ingest_structure_embeddings
    from ingest.stages.selection import Selection

    store = opened(uri)
    with store.run("ingest embeddings", {"encoder": str(named)}) as run:
        ingest_structure_embeddings(
            store, encoder, selection=Selection(), retry_failures=True, run=run
        )


def _text_vectors(uri: str, encoder: Any, named: Path) -> None:
    from ingest.stages.embeddings import ingest_text_embeddings
    from ingest.stages.selection import Selection

    store = opened(uri)
    with store.run("ingest embeddings", {"encoder": str(named), "source": "chemnlp"}) as run:
        ingest_text_embeddings(
            store,
            encoder,
            source="chemnlp",
            variants=["full", "without:each"],
            selection=Selection(),
            retry_failures=True,
            run=run,
        )


def _train(uri: str) -> None:
    from train.predictors.mlp import MLP
    from train.training import train_model

    store = opened(uri)
    names = {"structure_encoder": "tiny-alignn", "text_encoder": "tiny-bert"}
    view = store.training_view(PROPERTY, text_source="chemnlp", split=SPLIT, **names)
    train_model(store, view, MLP(widths=(16, 8), max_epochs=20), seed=0)


def _predict(uri: str, files: Path) -> None:
    from train.forecasts.predictor import Predictor

    with Predictor(opened(uri), [PROPERTY]) as predictor:
        predictor.predict(files, where="n_atoms < 3")


def _screen(uri: str, files: Path) -> None:
    from train.screening.screen import screen

    screen(opened(uri), [f"minimise {PROPERTY}"], files)


def _targets(uri: str, file: Path) -> None:
    from ingest.library.targets import add_targets

    add_targets(opened(uri), file, source="sample")


def _table(uri: str, file: Path) -> None:
    from ingest.library.tables import add_table

    add_table(opened(uri), file, dataset="sample")


def _optimade(uri: str, provider: str) -> None:
    from ingest.library.providers import add_optimade

    column = f"_exmpl_delta_e={PROPERTY}"
    add_optimade(opened(uri), provider, columns=[column], dataset="sample", pause=0.0)


def _extend(uri: str) -> None:
    from ingest.library.splits import add_splits

    add_splits(opened(uri), extend=SPLIT, property=PROPERTY)


def _update(uri: str) -> None:
    from train.upkeep import update

    update(opened(uri), said=lambda command: None)


def _rename(uri: str) -> None:
    from featurestore.errors import UnknownNameError
    from featurestore.upkeep.renaming import carry_out_renaming
    from featurestore.upkeep.renamings.materials import of_material
    from featurestore.upkeep.renamings.properties import of_property
    from featurestore.upkeep.renamings.splits import of_split

    store = opened(uri)
    for plan in (
        lambda session: of_material(session, "candidates-1", "caesium-iodide"),
        lambda session: of_split(session, SPLIT, "drawn"),
        lambda session: of_property(session, "slme", "efficiency"),
    ):
        with contextlib.suppress(UnknownNameError):  # renamed by a run that was killed afterwards
            with store.session() as session:
                renaming = plan(session)
            carry_out_renaming(store, renaming)


def _remove(uri: str) -> None:
    from featurestore.errors import MissingDataError
    from featurestore.upkeep.removal import carry_out
    from featurestore.upkeep.removals import of_materials

    store = opened(uri)
    for ids in ("'row-0', 'row-1', 'candidates-0'", "'screened-2'"):
        with contextlib.suppress(MissingDataError):  # gone by a run that was killed afterwards
            with store.session() as session:
                removal = of_materials(session, f"material_id IN ({ids})")
            carry_out(store, removal)


def _snapshot(uri: str) -> None:
    from featurestore.errors import ConflictError

    with contextlib.suppress(ConflictError):  # it is there from a run that was killed afterwards
        opened(uri).create_snapshot("made", "")


def _maintain(uri: str) -> None:
    from featurestore.upkeep.maintenance import maintain

    with opened(uri).run("maintain", {}):
        maintain(opened(uri), keep_days=0)
