"""Makes what the entries about materials, folds, texts, vectors and features ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explain.study.file import Study
from explain.study.record import Record
from explain.study.state import digests
from explain.study.steps import Step
from featurestore.errors import ConflictError, FeatureStoreError, MissingDataError, UnknownNameError
from featurestore.store import FeatureStore


@dataclass
class Workshop:
    """What a step works with.

    Parameters
    ----------
    store : FeatureStore
        Read and written.
    study : Study
    record : Record
        What the steps before have made.
    say : callable
        Called with each line for people.
    workers : int, optional
        Processes that describe structures; by default one a processor.
    """

    store: FeatureStore
    study: Study
    record: Record
    say: Callable[[str], None]
    workers: int | None = None

    @property
    def folder(self) -> Path:
        """Of the study's files."""
        return self.record.path.parent

    def made(self, table: str, entry: str) -> dict[str, Any]:
        """The output of a step that was made before."""
        return dict(self.record.steps[f"{table}.{entry}"].output)


@dataclass
class Output:
    """What a step has made.

    Parameters
    ----------
    facts : dict
        Ids, counts, fingerprints: what later steps go by.
    files : list of str
        In the study's folder.
    notes : list of str
        For a reader of the page.
    """

    facts: dict[str, Any]
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_source(shop: Workshop, step: Step) -> Output:
    """Read the structures and targets of ``[sources.NAME]``."""
    import ingest

    said = step.said
    if said.get("sample"):
        found = ingest.add_sample(shop.store)
    elif "jarvis" in said:
        found = ingest.add_jarvis(shop.store, said["jarvis"])
    else:
        found = ingest.add_structures(
            shop.store,
            said["files"],
            properties=said.get("targets", ()),
            dataset=said.get("dataset"),
            property_registries=said.get("property-registry", ()),
            id_from=said.get("id-from", "stem"),
        )
    _tell(shop, found.summary())
    with shop.store.session() as session:
        return Output({"state": digests(session)})


def make_split(shop: Workshop, step: Step) -> Output:
    """Draw or read the folds of ``[splits.NAME]``, for each property that it names."""
    import ingest
    from ingest.stages.splits import property_of_file

    said, notes = step.said, []
    common = {"name": step.entry, "seed": said.get("seed", 0)}
    rest = {"group_by": said.get("group-by"), "where": said.get("where")}
    properties: Sequence[str | None] = said.get("properties") or [None]
    lenient = said.get("lacking") == "note"
    if "files" in said:
        files = [
            (property_of_file(Path(path)) if len(said["files"]) > 1 else None, path)
            for path in said["files"]
        ]
        asked: list[tuple[str | None, dict[str, Any]]] = [
            (name or properties[0], {"files": [path]})
            for name, path in files
            if name is None or name in properties or properties == [None]
        ]
    else:
        how = {"random": said.get("random"), "sample": said.get("sample")}
        how |= {"at_most": said.get("at-most"), **rest}
        asked = [(name, how) for name in properties]
    for name, how in asked:
        try:
            found = ingest.add_splits(shop.store, **{**common, **how}, property=name)
        except (MissingDataError, UnknownNameError) as error:
            if not lenient or name is None:
                raise
            notes.append(f"no folds for {name}: {error}")
            continue
        except ConflictError as error:
            raise ConflictError(
                f"{str(error).partition('; give')[0]}: folds that are stored stay; call "
                f"the new ones otherwise, here and where they are named, as [splits.{step.entry}-2]"
            ) from error
        _tell(shop, found.summary())
    with shop.store.session() as session:
        folds = session.query(
            "SELECT property, count(*) AS n, "
            "bit_xor(hash(property, material_id, fold))::VARCHAR AS digest FROM splits "
            "WHERE split = ? GROUP BY property ORDER BY property",
            [step.entry],
        ).to_pylist()
    if not folds:
        raise MissingDataError("no property has folds: " + "; ".join(notes))
    return Output({"splits": [step.entry], "folds": folds}, notes=notes)


def make_text(shop: Workshop, step: Step) -> Output:
    """Describe the structures by the source of ``[texts.NAME]``."""
    import ingest

    said = step.said
    found = ingest.describe(
        shop.store,
        said.get("source", step.entry),
        _selection(said),
        settings=said.get("settings"),
        workers=shop.workers,
        time_limit=said.get("time-limit", 300.0),
    )
    _tell(shop, found.summary())
    with shop.store.session() as session:
        counted = session.query(
            "SELECT count(DISTINCT structure_id) AS structures, count(*) AS sentences "
            "FROM sentences WHERE generator_id = ?",
            [found.made],
        ).to_pylist()[0]
    return Output({"generator": found.made, **counted}, notes=_failed(found))


def make_vectors(shop: Workshop, step: Step) -> Output:
    """Encode structures or texts by ``[encoders.NAME]``, whose weights are pulled first."""
    import ingest

    said = step.said
    weights = said.get("weights", step.entry)
    if said.get("pull", True):
        _pull(shop, weights, said.get("from"))
    options = {"selection": _selection(said), "settings": said.get("settings")}
    sources = [shop.made("texts", name)["generator"] for name in said.get("texts", ())]
    done = [
        ingest.encode(shop.store, weights, source, said.get("variants", ()), **options)
        for source in sources
    ] or [ingest.encode(shop.store, weights, **options)]
    notes: list[str] = []
    for found in done:
        _tell(shop, found.summary())
        notes += _failed(found)
    encoder = done[0].made
    with shop.store.session() as session:
        row = session.query("FROM encoders WHERE encoder_id = ?", [encoder]).to_pylist()[0]
        dataset = session.dataset(f"{row['kind']}_embeddings__{encoder}")
        vectors = 0 if dataset is None else dataset.count_rows()
    return Output({"encoder": encoder, "kind": row["kind"], "vectors": vectors}, notes=notes)


def make_features(shop: Workshop, step: Step) -> Output:
    """Name the list of features of ``[features.NAME]``, by the ids of what was made."""
    from featurestore.views.define import define_feature_set

    features = list(dict.fromkeys(_features(shop, step.entry)))
    name = f"{shop.study.name}.{step.entry}"
    found, is_new = define_feature_set(
        shop.store, name, features, f"of the study {shop.study.name}"
    )
    shop.say(f"{found}: {', '.join(features)}" + ("" if is_new else ", as before"))
    return Output({"feature_set": str(found), "features": list(found.features)})


def _features(shop: Workshop, entry: str) -> list[str]:
    said = shop.study.entries("features")[entry]
    if "join" in said:
        return [feature for name in said["join"] for feature in _features(shop, name)]
    if "inputs" in said:
        return [_with_ids(shop, feature) for feature in said["inputs"]]
    found = []
    if "structure" in said:
        found.append(shop.made("encoders", said["structure"])["encoder"])
    if "text" in said:
        encoder = shop.made("encoders", said["encoder"])["encoder"]
        found.append(f"{encoder}:{shop.made('texts', said['text'])['generator']}")
    return found


def _with_ids(shop: Workshop, feature: str) -> str:
    """A feature whose encoder and text are entries of the study, by their ids."""
    encoder, _, rest = feature.partition(":")
    name, _, segment = encoder.partition(".")
    if name not in shop.study.entries("encoders"):
        return feature
    parts = [shop.made("encoders", name)["encoder"] + (f".{segment}" if segment else "")]
    if rest:
        source, _, variant = rest.partition(":")
        if source in shop.study.entries("texts"):
            source = shop.made("texts", source)["generator"]
        parts += [source, variant] if variant else [source]
    return ":".join(parts)


def _selection(said: Any) -> Any:
    from ingest import Selection

    return Selection(properties=tuple(said.get("properties", ())), where=said.get("where"))


def _pull(shop: Workshop, weights: str, local: str | None) -> None:
    from ingest.weights.cache import find_weights
    from ingest.weights.pull import pull
    from ingest.weights.registry import registry

    if weights in registry() and find_weights(weights) is None:
        pull(weights, None if local is None else Path(local), report=shop.say)


def _tell(shop: Workshop, lines: Sequence[str]) -> None:
    for line in lines:
        shop.say(line)


def _failed(found: Any) -> list[str]:
    rows = found.failures.to_pylist()
    if not rows:
        return []
    return [f"{len(rows)} failed, for example {rows[0]['item']}: {rows[0]['message']}"]


class StepError(FeatureStoreError):
    """A step of a study did not succeed; what was made before it stays.

    Parameters
    ----------
    step : Step
    error : FeatureStoreError
        What it met.
    """

    def __init__(self, step: Step, error: FeatureStoreError) -> None:
        self.commands = error.commands
        super().__init__(f"[{step.name}]: {error}")
