"""The glance at a store: a few counted lines for each kind of thing in it."""

from __future__ import annotations

from featurestore.classes import classes_of
from featurestore.session import Session
from featurestore.splits import ALL_PROPERTIES, cross_validations, families
from featurestore.tables.schemas import embedding_table

_NONE = ["none yet"]


def summarise(session: Session) -> list[tuple[str, list[str]]]:
    """Titles, each with the lines below it."""
    return [
        ("Materials", _materials(session)),
        ("Properties", _properties(session)),
        ("Splits", _splits(session)),
        ("Texts", _texts(session)),
        ("Encoders", _encoders(session)),
        ("Models", _models(session)),
        *_forecasts(session),
        ("Failures", _failures(session)),
        ("Last runs", _runs(session)),
    ]


def _materials(session: Session) -> list[str]:
    rows = session.query(
        "SELECT dataset, count(*) AS n, count(DISTINCT structure_id) AS structures, "
        "median(n_atoms)::INTEGER AS median, max(n_atoms) AS most "
        "FROM materials GROUP BY dataset ORDER BY dataset"
    ).to_pylist()
    return [
        f"{row['dataset']}: {row['n']:,} materials, {row['structures']:,} distinct structures, "
        f"median {row['median']} atoms, at most {row['most']}"
        for row in rows
    ] or _NONE


def _properties(session: Session) -> list[str]:
    rows = session.query(
        "SELECT property, unit, source, count(*) AS n, min(value) AS low, avg(value) AS mean, "
        "max(value) AS high FROM properties GROUP BY ALL ORDER BY property, source"
    ).to_pylist()
    counted = session.query(
        "SELECT property, source, string_agg(n || ' ' || class, ', ' ORDER BY n DESC, class) AS "
        "said FROM (SELECT property, source, class, count(*) AS n FROM class_values GROUP BY ALL) "
        "GROUP BY ALL"
    ).to_pylist()
    of_classes = {(row["property"], row["source"]): row["said"] for row in counted}
    return [
        f"{row['property']}: {row['n']:,} values, "
        + (
            f"{of_classes[row['property'], row['source']]}"
            if classes_of(row["unit"])
            else f"{row['low']:.4g} to {row['high']:.4g} {row['unit']}, mean {row['mean']:.4g}"
        )
        + f" ({row['source']})"
        for row in rows
    ] or _NONE


def _splits(session: Session) -> list[str]:
    """A line for each split; those that belong together, as a cross-validation, are one."""
    rows = session.query(
        "SELECT split, property, count(*) FILTER (fold = 'train') AS train, "
        "count(*) FILTER (fold = 'val') AS val, count(*) FILTER (fold = 'test') AS test "
        "FROM splits GROUP BY ALL ORDER BY split, property"
    ).to_pylist()
    crossed = cross_validations(session)
    together = families(session)
    of = {(one, key): name for (name, key), members in together.items() for one in members}
    lines: dict[tuple[str, str], str] = {}
    tested: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        split, key = row["split"], row["property"]
        called = "all materials" if key == ALL_PROPERTIES else key
        if (split, key) not in of:
            lines[split, key] = (
                f"{split}, {called}: "
                f"{row['train']:,} train, {row['val']:,} val, {row['test']:,} test"
            )
            continue
        name = of[split, key]
        if not row["test"]:  # where all is learned
            continue
        sizes = tested.setdefault((name, key), [])
        sizes.append(row["test"])
        kind = f"cross-validation of {len(sizes)} splits, {sum(sizes):,} materials"
        if (name, key) not in crossed:
            kind = f"{len(sizes)} splits that each leave something out,"
        lines[name, key] = f"{name}, {called}: {kind} in tests of {_range(sizes)}"
    return list(lines.values()) or _NONE


def _range(sizes: list[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _texts(session: Session) -> list[str]:
    rows = session.query(
        "SELECT generator_id, count(DISTINCT structure_id) AS structures, count(*) AS sentences "
        "FROM sentences GROUP BY ALL ORDER BY generator_id"
    ).to_pylist()
    return [
        f"{row['generator_id']}: {row['sentences']:,} sentences of {row['structures']:,} structures"
        for row in rows
    ] or _NONE


def _encoders(session: Session) -> list[str]:
    lines = []
    for row in session.query("FROM encoders ORDER BY kind, encoder_id").to_pylist():
        dataset = session.dataset(embedding_table(row["kind"], row["encoder_id"]))
        vectors = 0 if dataset is None else dataset.count_rows()
        parts = "+".join(str(part["stop"] - part["start"]) for part in row["segments"])
        lines.append(
            f"{row['encoder_id']} ({row['kind']}): {vectors:,} vectors of {row['dimension']}"
            + (f" = {parts}" if "+" in parts else "")
        )
    return lines or _NONE


def _models(session: Session) -> list[str]:
    rows = session.query(
        "SELECT property, predictor, count(*) AS n FROM models GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    return [f"{row['property']}: {row['n']} by {row['predictor']}" for row in rows] or _NONE


def _forecasts(session: Session) -> list[tuple[str, list[str]]]:
    """A title and its lines; nothing where nothing was predicted."""
    rows = session.query(
        "SELECT property, count(*) AS n, count(DISTINCT material_id) AS materials, "
        "count(DISTINCT group_id) AS groups FROM forecasts GROUP BY property ORDER BY property"
    ).to_pylist()
    lines = [
        f"{row['property']}: {row['n']:,} of {row['materials']:,} materials, by {row['groups']} "
        + ("model" if row["groups"] == 1 else "models")
        for row in rows
    ]
    return [("Forecasts", lines)] if lines else []


def _failures(session: Session) -> list[str]:
    rows = session.query(
        "SELECT stage, context, error, count(*) AS n, min(item) AS item FROM failures "
        "GROUP BY ALL ORDER BY n DESC LIMIT 10"
    ).to_pylist()
    return [
        f"{row['stage']} {row['context']}: {row['n']:,} × {row['error']}, for example {row['item']}"
        for row in rows
    ] or ["none"]


def _runs(session: Session) -> list[str]:
    rows = session.query(
        "SELECT command, status, started_at, epoch(ended_at - started_at) AS took, counts "
        "FROM runs ORDER BY started_at DESC LIMIT 5"
    ).to_pylist()
    return [
        f"{row['started_at']:%Y-%m-%d %H:%M} {row['command']}: {row['status']}"
        + (f" after {row['took']:.0f} s, {row['counts']}" if row["took"] is not None else "")
        for row in rows
    ] or _NONE
