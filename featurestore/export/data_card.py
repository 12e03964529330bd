"""The data card of an exported training view: what it is, what it was made from, what it lacks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from featurestore.export.source_terms import terms_of
from featurestore.output.markdown import code, fenced, plain
from featurestore.redaction import without_secrets
from featurestore.session import Session
from featurestore.tables.soundness import object_or_empty
from featurestore.views.features import VectorFeature
from featurestore.views.view import SelectedView, TrainingView


@dataclass(frozen=True)
class CardFacts:
    """What the store says about a view beyond its rows.

    Parameters
    ----------
    datasets : dict of str to int
        Materials of the view by the data set they come from.
    sources : tuple of str
        The arguments, as JSON, of the runs that put these materials into the store.
    encoders : tuple of (str, str)
        Id and fingerprint, as JSON, of each encoder.
    generators : tuple of (str, str)
        Likewise of each text generator.
    """

    datasets: dict[str, int]
    sources: tuple[str, ...]
    encoders: tuple[tuple[str, str], ...]
    generators: tuple[tuple[str, str], ...]


def card_facts(session: Session, selected: SelectedView) -> CardFacts:
    """Look up what a card says about a view, while its session is open."""
    ids = [selected.rows["material_id"].to_pylist()]
    datasets = session.query(
        "SELECT dataset, count(*) AS n FROM materials WHERE list_contains(?, material_id) "
        "GROUP BY dataset ORDER BY dataset",
        ids,
    ).to_pylist()
    runs = session.query(
        "SELECT DISTINCT arguments FROM runs WHERE run_id IN (SELECT run_id FROM materials "
        "WHERE list_contains(?, material_id)) ORDER BY arguments",
        ids,
    )
    p = selected.parameters
    generators = session.query(
        "SELECT generator_id, fingerprint FROM generators WHERE list_contains(?, generator_id) "
        "ORDER BY generator_id",
        [[text.generator_id for text in p.texts]],
    ).to_pylist()
    encoders = [part.vectors.encoder for part in selected.parts if part.vectors is not None]
    return CardFacts(
        {row["dataset"]: row["n"] for row in datasets},
        tuple(runs["arguments"].to_pylist()),
        tuple((e.encoder_id, json.dumps(e.fingerprint, indent=1)) for e in encoders),
        tuple((row["generator_id"], _indented(row["fingerprint"])) for row in generators),
    )


def render_card(view: TrainingView, facts: CardFacts, usage: str) -> str:
    """The card as Markdown; ``usage`` is the Python that reads the data."""
    p = view.parameters
    package = metadata.version("materials-featurestore")
    sections = [
        f"# {plain(p.property)}: a training view\n\n{_sentence(view)}",
        fenced("python", usage),
        "## Rows\n\n" + _rows(view),
        "## Columns\n\n" + _columns(view),
        "## Where it comes from\n\n" + _provenance(view, facts),
        "## Terms\n\n" + "\n".join(f"- {terms_of(name)}" for name in facts.datasets),
        "## Identity\n\n"
        f"- view fingerprint: `{view.fingerprint}`\n"
        f"- written by materials-featurestore {package}\n"
        f"- table versions: {_listed(view.versions)}\n\n"
        "The fingerprint is the SHA-256 of the parameters, the SQL and every byte of the rows. The "
        "same view of the store has it again:\n\n"
        + fenced("json", json.dumps(p.as_dict(), indent=1))
        + "\n\n"
        + fenced("sql", view.sql),
    ]
    for version_id, fingerprint in dict.fromkeys((*facts.encoders, *facts.generators)):
        sections.append(f"### {plain(version_id)}\n\n" + fenced("json", fingerprint))
    return "\n\n".join(sections) + "\n"


def _sentence(view: TrainingView) -> str:
    p = view.parameters
    made = [
        code(part.encoder_id if isinstance(part, VectorFeature) else str(part)) for part in p.parts
    ]
    return (
        f"{len(view):,} materials with their {plain(p.property)} ({plain(p.unit)}, source "
        f"{plain(p.property_source)}) and {view.features.shape[1]:,} features by "
        f"{' and '.join(made)}."
    )


def _rows(view: TrainingView) -> str:
    p, targets = view.parameters, view.targets
    lines = [f"- {len(view):,} materials, in order of material_id, one row each"]
    if p.split is not None:
        folds = view.rows["fold"].value_counts().to_pylist()
        counts = ", ".join(f"{row['counts']:,} {row['values']}" for row in folds)
        lines.append(f"- split {code(p.split)}: {counts}")
    else:
        lines.append("- no split: every material with a target, without folds")
    if p.classes:
        counts = ", ".join(
            f"{int((targets == place).sum()):,} {plain(name)} ({place})"
            for place, name in enumerate(p.classes)
        )
        lines.append(f"- target is the place of a class: {counts}")
    else:
        lines.append(
            f"- target in {plain(p.unit)}: {targets.min():.6g} to {targets.max():.6g}, mean "
            f"{targets.mean():.6g}, standard deviation {np.std(targets):.6g}"
        )
    lines += [
        f"- left out: {count:,} materials with a target but without a {plain(lacking)}"
        for lacking, count in view.excluded.items()
    ] or ["- left out: none that has a target" + (" and a fold" if p.split else "")]
    return "\n".join(lines)


def _columns(view: TrainingView) -> str:
    p = view.parameters
    lines = [
        "| | |\n|---|---|",
        "| material_id | name of the material in its source |",
        "| structure_id, text_id | SHA-256 of the structure, of the text |",
        "| fold | train, val or test |",
        f"| target | {plain(p.property)} in {plain(p.unit)}, float64 (float32 in safetensors) |",
        "| n_tokens, truncated | length of the text in tokens, and whether the encoder cut it |",
    ]
    lines += [f"| features {a}:{b} | {plain(name)}, float32 |" for name, a, b in view.segments]
    return "\n".join(lines)


def _provenance(view: TrainingView, facts: CardFacts) -> str:
    p = view.parameters
    lines = [
        f"- {count:,} materials of data set {code(name)}" for name, count in facts.datasets.items()
    ]
    lines += [f"- read from {_source(arguments)}" for arguments in facts.sources]
    for text in p.texts:
        lines.append(f"- texts: {code(str(text.generator_id))}, variant {code(text.variant)}")
    lines += [f"- vectors: {code(encoder_id)}" for encoder_id, _ in facts.encoders]
    return "\n".join(lines)


def _source(arguments: str) -> str:
    """The names and checksums of a run's files; their folders are nobody's business."""
    given = without_secrets(object_or_empty(arguments))
    sums, sources = given.get("source_sha256"), given.get("sources")
    sums = sums if isinstance(sums, dict) else {}
    sources = [str(path) for path in sources] if isinstance(sources, list) else []
    files = [
        code(path.rsplit("/", 1)[-1])
        + (f" (SHA-256 {plain(str(sums[path]))})" if path in sums else "")
        for path in sources[:5]
    ]
    more = len(sources) - len(files)
    return ", ".join(files) + (f" and {more:,} more files" if more else "") or "rows without a file"


def _listed(versions: dict[str, int]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _indented(text: str) -> str:
    return json.dumps(object_or_empty(text), indent=1)
