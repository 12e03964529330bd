"""A lineage as a tree for people, as JSON, and as OpenLineage events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from featurestore.history.nodes import Node, RunRecord, written

_PRODUCER = "https://pypi.org/project/materials-featurestore/"
_SPEC = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUN_FACET = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
_DATASET_FACET = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/DatasetFacet"
_EVENT_TYPES = {"finished": "COMPLETE", "failed": "FAIL", "interrupted": "ABORT", "killed": "ABORT"}
_FACT_WIDTH = 100


def tree_lines(node: Node, indent: str = "") -> Iterator[str]:
    """The lines of a tree: each thing with its facts and runs, its inputs below it."""
    yield f"{indent}{node.kind}  {node.name}"
    inner = indent + "    "
    for name, value in node.facts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines = text.splitlines() or [""]
        yield f"{inner}{name}: {_short(lines[0])}"
        yield from (f"{inner}    {_short(line)}" for line in lines[1:])
    for run in node.runs:
        started = f" on {run.started_at:%Y-%m-%d %H:%M}" if run.started_at else ""
        commit = f", commit {run.git_commit[:12]}" if run.git_commit else ""
        yield f"{inner}run: {run.run_id} {run.command}, {run.status}{started}{commit}"
    for child in node.inputs:
        yield from tree_lines(child, inner)


def _short(text: str) -> str:
    return text if len(text) <= _FACT_WIDTH else text[: _FACT_WIDTH - 1] + "…"


def as_json(node: Node) -> dict[str, Any]:
    """The whole lineage as JSON values."""
    return {
        "kind": node.kind,
        "name": node.name,
        "table": node.table or None,
        "facts": node.facts,
        "runs": [
            vars(run) | {name: written(getattr(run, name)) for name in ("started_at", "ended_at")}
            for run in node.runs
        ],
        "inputs": [as_json(child) for child in node.inputs],
    }


def openlineage_events(node: Node, namespace: str) -> list[dict[str, Any]]:
    """OpenLineage run events, one for each run that took part, in order of time.

    Follows the OpenLineage specification 2-0-2 (https://openlineage.io/spec). A run's outputs are
    the tables it wrote; its inputs the tables and files that these were made from.

    Parameters
    ----------
    node : Node
        What was asked about.
    namespace : str
        Of the tables: the store's URI.
    """
    runs: dict[str, RunRecord] = {}
    inputs: dict[str, dict[str, Node]] = {}
    outputs: dict[str, dict[str, Node]] = {}
    queries: dict[str, str] = {}
    for made in _all_nodes(node):
        for run in made.runs:
            runs[run.run_id] = run
            outputs.setdefault(run.run_id, {})[made.table] = made
            for source in _sources(made):
                inputs.setdefault(run.run_id, {})[source.table or source.name] = source
            for view in made.inputs:
                if "sql" in view.facts:
                    queries[run.run_id] = view.facts["sql"]
    ordered = sorted(
        (run for run in runs.values() if run.started_at), key=lambda run: str(run.started_at)
    )
    return [
        _event(
            run,
            namespace,
            list(inputs.get(run.run_id, {}).values()),
            list(outputs[run.run_id].values()),
            queries.get(run.run_id),
        )
        for run in ordered
    ]


def _all_nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.inputs:
        yield from _all_nodes(child)


def _sources(node: Node) -> Iterator[Node]:
    """What a node was made from: tables and files; a view stands for its own inputs."""
    for child in node.inputs:
        if child.table or child.kind == "source file":
            yield child
        else:
            yield from _sources(child)


def _event(
    run: RunRecord, namespace: str, inputs: list[Node], outputs: list[Node], query: str | None
) -> dict[str, Any]:
    moment = run.ended_at or run.started_at
    assert moment is not None
    run_facets: dict[str, Any] = {
        "processing_engine": _facet(
            "facets/1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet",
            name="featurestore",
            version=metadata.version("materials-featurestore"),
        ),
        "featurestore_run": {
            "_producer": _PRODUCER,
            "_schemaURL": _RUN_FACET,
            "runId": run.run_id,
            "arguments": run.arguments,
            "versions": run.versions,
            "gitCommit": run.git_commit,
            "counts": run.counts,
        },
    }
    if run.message:
        run_facets["errorMessage"] = _facet(
            "facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
            message=run.message,
            programmingLanguage="Python",
        )
    job: dict[str, Any] = {"namespace": namespace, "name": run.command}
    if query:
        job["facets"] = {
            "sql": _facet("facets/1-1-0/SQLJobFacet.json#/$defs/SQLJobFacet", query=query)
        }
    return {
        "eventType": _EVENT_TYPES.get(run.status, "RUNNING"),
        "eventTime": moment.isoformat(),
        # The specification wants a UUID: the same run always has the same.
        "run": {
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}#{run.run_id}")),
            "facets": run_facets,
        },
        "job": job,
        "inputs": [_dataset(node, namespace) for node in inputs],
        "outputs": [_dataset(node, namespace) for node in outputs],
        "producer": _PRODUCER,
        "schemaURL": _EVENT_SCHEMA,
    }


def _dataset(node: Node, namespace: str) -> dict[str, Any]:
    content = {"_producer": _PRODUCER, "_schemaURL": _DATASET_FACET, **node.facts}
    return {
        "namespace": namespace if node.table else "file",
        "name": node.table or node.name,
        "facets": {"featurestore_content": content},
    }


def _facet(schema: str, **values: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SPEC}/{schema}", **values}


def store_namespace(uri: str) -> str:
    """The OpenLineage namespace of a store: its URI, a local folder's as ``file://``."""
    return uri if "://" in uri else Path(uri).resolve().as_uri()
