"""What hangs on materials, properties, splits, encoders and models, and how it goes with them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.catalogue import encoders, find_encoder, find_model_id, stored_properties
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.property_rules import rule_in_force
from featurestore.query.conditions import as_condition, materials_where
from featurestore.quoting import SQL, identifier, quoted
from featurestore.renames import PROPERTY, SOURCE
from featurestore.session import Session
from featurestore.splits import families
from featurestore.store import FeatureStore
from featurestore.tables.runs import Run
from featurestore.tables.schemas import embedding_table
from featurestore.texts.renderings import unrendered
from featurestore.upkeep.removal import (
    MATERIAL,
    Removal,
    Step,
    by_ids,
    counted,
    cut_off_materials,
    shown_names,
)
from featurestore.upkeep.renamings.bearers import models_of
from featurestore.upkeep.renamings.plan import renamed_now
from featurestore.vectors import Vectors
from featurestore.views.renamed import parameters_now

_GONE = "\0"  # the name of nothing


def of_materials(session: Session, where: str) -> Removal:
    """The removal of the materials for which a condition holds, and of what only they have.

    Parameters
    ----------
    where : str
        An SQL expression over the columns of ``materials`` and the names of properties.

    Raises
    ------
    MissingDataError
        If it holds for none.
    InvalidInputError, UnknownNameError, QueryError
        If it is no condition.
    """
    chosen = set(materials_where(session, where)["material_id"].to_pylist())
    cut_off = set(cut_off_materials(session))
    if not chosen | cut_off:
        raise MissingDataError(f"there is no material for which {where!r} holds")
    ids = sorted(chosen | cut_off)
    gone = session.query(
        "SELECT DISTINCT structure_id FROM materials WHERE material_id IN (SELECT unnest(?1)) "
        "AND structure_id NOT IN (SELECT structure_id FROM materials "
        "WHERE material_id NOT IN (SELECT unnest(?1))) ORDER BY ALL",
        [ids],
    )["structure_id"].to_pylist()
    predicted = session.query(
        "SELECT material_id, list(DISTINCT model_id ORDER BY model_id) AS models FROM predictions "
        "WHERE material_id IN (SELECT unnest(?)) GROUP BY ALL",
        [ids],
    ).to_pylist()
    models = sorted({model for row in predicted for model in row["models"]})
    emptied = session.query(
        "SELECT DISTINCT model_id FROM predictions WHERE model_id IN (SELECT unnest(?)) "
        "GROUP BY ALL HAVING count(*) FILTER (material_id NOT IN (SELECT unnest(?))) = 0",
        [models, ids],
    )["model_id"].to_pylist()
    if emptied:
        raise InvalidInputError(
            f"{counted(len(emptied), 'model has', 'models have')} seen no other material, "
            f"{shown_names(emptied)}; remove them first with: featurestore remove models "
            f"{' '.join(emptied)}"
        )
    steps = [
        _of_ids(session, "failures", "item", [*ids, *gone], "failures on record"),
        _of_ids(session, "erasures", "material_id", ids, "erased predictions"),
        _of_ids(session, "predictions", "material_id", ids, "predictions"),
        _of_ids(session, "splits", "material_id", ids, "folds"),
        _of_ids(session, "duplicates", "structure_id", gone, "entries of the same crystals"),
        _of_ids(session, "renderings", "structure_id", gone, "variants of their texts on record"),
        _of_ids(session, "sentences", "structure_id", gone, "sentences"),
        *(
            _of_ids(
                session,
                embedding_table("structure", encoder.encoder_id),
                "structure_id",
                gone,
                f"structure vectors by {encoder.encoder_id}",
            )
            for encoder in encoders(session, "structure")
        ),
    ]
    last = (
        _of_ids(session, "properties", "material_id", ids, "targets"),
        _of_ids(session, "materials", "material_id", ids, "materials"),
    )
    stays = []
    if cut_off - chosen:
        stays.append(
            f"among them {counted(len(cut_off - chosen), 'material', 'materials')} whose removal "
            "was cut off"
        )
    texts = session.query(
        "SELECT count(DISTINCT text_id) AS n FROM text_embedding_keys WHERE text_id IN "
        "(SELECT text_id FROM full_texts WHERE structure_id IN (SELECT unnest(?1)) UNION ALL "
        "SELECT text_id FROM renderings WHERE structure_id IN (SELECT unnest(?1)))",
        [gone],
    )["n"][0].as_py()
    if texts:
        stays.append(
            f"vectors of {counted(texts, 'text', 'texts')}, as far as no other structure has them"
        )
    if models:
        stays.append(
            f"{counted(len(models), 'model', 'models')} that learned from them or predicted them "
            f"stay with their errors of then, and their lineage says so: {shown_names(models)}"
        )
    return Removal(
        kind=MATERIAL,
        names=tuple(ids),
        steps=tuple(steps),
        last=last,
        stays=tuple(stays),
        models={row["material_id"]: tuple(row["models"]) for row in predicted},
        then=_remove_texts_without_sentences,
    )


def of_property(session: Session, name: str, source: str | None = None) -> Removal:
    """The removal of a property's values, of one source or of all.

    Raises
    ------
    UnknownNameError
        If there is no such property, or source of it.
    """
    sources = {row["source"] for row in stored_properties(session, name)}
    if source is not None and source not in sources:
        raise UnknownNameError(f"source of {name}", source, sources)
    whole = source is None or sources == {source}
    this = SQL(f"property = {quoted(name)}")
    values = this if source is None else SQL(f"{this} AND source = {quoted(source)}")
    steps: tuple[Step, ...] = ()
    stays = []
    if whole:
        steps = (
            _of_condition(session, "splits", this, "folds that are for it alone"),
            _of_condition(session, "split_versions", this, "versions of such splits"),
            _of_condition(session, "property_rules", this, "versions of the rule of its sources"),
        )
    elif (rule := rule_in_force(session, name)) is not None and source in rule.sources:
        stays.append(f"the rule {rule.text} stays, and does without this source")
    gone = renamed_now(PROPERTY, name, _GONE)
    if source is not None:
        gone = renamed_now(SOURCE, source, _GONE, name)
    # under the names of today: a model goes on saying those under which it learned
    models = models_of(session, lambda p: parameters_now(p, [gone]) != p, ())
    if models:
        stays.append(_models_stay(models))
    sets = session.query(
        "SELECT DISTINCT name FROM feature_sets, unnest(features) AS f(feature) WHERE "
        "starts_with(feature, 'property:' || ? || '@') ORDER BY ALL",
        [name],
    )["name"].to_pylist()
    if sets:
        stays.append(
            f"{counted(len(sets), 'feature set', 'feature sets')} that name it stay, and views of "
            f"them fail: {shown_names(sets)}"
        )
    called = name if source is None else f"{name} of {source}"
    return Removal(
        kind="property",
        names=(called,),
        steps=steps,
        last=(_of_condition(session, "properties", values, "targets"),),
        stays=tuple(stays),
        models={called: models},
    )


def of_split(session: Session, name: str, property: str | None = None) -> Removal:
    """The removal of a split, or of all splits that belong together, as a cross-validation's.

    Parameters
    ----------
    name : str
        Which.
    property : str, optional
        Only its folds for this property (``*`` for those that are for all).

    Raises
    ------
    UnknownNameError
        If there is no such split, or it has no folds for the property.
    InvalidInputError
        If it is one of several that belong together.
    """
    together = families(session)
    of = {one: family for (family, _), members in together.items() for one in members}
    if name in of:
        raise InvalidInputError(
            f"split {name!r} is one of those of {of[name]!r}; remove all of it with: "
            f"featurestore remove split {of[name]}"
        )
    members = {one for one, family in of.items() if family == name} | {name}
    rows = session.query("SELECT DISTINCT split, property FROM splits ORDER BY ALL").to_pylist()
    found = [row for row in rows if row["split"] in members]
    if not found:
        raise UnknownNameError("split", name, {of.get(row["split"], row["split"]) for row in rows})
    if property is not None and property not in {row["property"] for row in found}:
        raise UnknownNameError(
            f"property of split {name}", property, {row["property"] for row in found}
        )
    splits = sorted({row["split"] for row in found})
    these = SQL(f"split IN ({SQL(', '.join(map(quoted, splits)))})")
    if property is not None:
        these = SQL(f"{these} AND property = {quoted(property)}")
    models = models_of(
        session, lambda p: p.split in splits and property in (None, "*", p.property), ()
    )
    return Removal(
        kind="split",
        names=(name if property is None else f"{name} for {property}",),
        steps=(),
        last=(
            _of_condition(session, "splits", these, "folds"),
            _of_condition(session, "split_versions", these, "versions"),
        ),
        stays=(_models_stay(models),) if models else (),
        models={name if property is None else f"{name} for {property}": models},
    )


def of_encoder(session: Session, name: str) -> Removal:
    """The removal of an encoder's vectors and of the encoder.

    Raises
    ------
    UnknownNameError
        If there is none of that name or id.
    InvalidInputError
        If the name has several versions, or models read its vectors.
    """
    kinds = {one.kind for one in encoders(session) if name in (one.encoder_id, one.name)}
    encoder = find_encoder(session, name, kinds.pop() if len(kinds) == 1 else "structure")
    models = _models(
        session,
        SQL(
            "?1 IN (structure_encoder, text_encoder) OR len(list_filter(coalesce(inputs, []), "
            "lambda one: regexp_matches(one, '^' || ?1 || '([.:]|$)'))) > 0"
        ),
        [encoder.encoder_id],
    )
    if models:
        raise InvalidInputError(
            f"{counted(len(models), 'model reads', 'models read')} the vectors of "
            f"{encoder.encoder_id} and could not be used without: {shown_names(models)}. Remove "
            f"them first with: featurestore remove models {' '.join(models)}; or let its name "
            f"stand for it no longer with: featurestore encoders retire {encoder.encoder_id}"
        )
    table = embedding_table(encoder.kind, encoder.encoder_id)
    own = quoted(encoder.encoder_id)
    return Removal(
        kind="encoder",
        names=(encoder.encoder_id,),
        steps=(
            _of_condition(session, table, SQL("true"), f"vectors of {encoder.kind}s"),
            _of_condition(session, "failures", SQL(f"context = {own}"), "failures on record"),
            _of_condition(session, "standings", SQL(f"id = {own}"), "standing"),
        ),
        last=(_of_condition(session, "encoders", SQL(f"encoder_id = {own}"), "encoder"),),
    )


def of_models(session: Session, names: Sequence[str] = (), where: str | None = None) -> Removal:
    """The removal of models with their predictions and explanations.

    Parameters
    ----------
    names : sequence of str
        Ids or their beginnings.
    where : str, optional
        In place of names: an SQL condition over the columns of ``models`` and ``text_source``.

    Raises
    ------
    InvalidInputError
        If neither or both are given, or it is no condition.
    UnknownNameError
        If a name is of no model.
    MissingDataError
        If the condition holds for none.
    """
    if bool(names) == (where is not None):
        raise InvalidInputError("name models, or say which by a condition")
    if where is None:
        ids = sorted({find_model_id(session, name) for name in names})
    else:
        ids = session.read_only_query(
            "SELECT model_id FROM (SELECT m.* EXCLUDE (weights, history), g.source AS text_source "
            "FROM models m LEFT JOIN generators g ON g.generator_id = m.generator_id) "
            f"WHERE {as_condition(where)} ORDER BY model_id"
        )["model_id"].to_pylist()
        if not ids:
            raise MissingDataError(f"there is no model for which {where!r} holds")
    explanations = session.query(
        "SELECT DISTINCT explanation_id FROM effects WHERE list_has_any(model_ids, ?) ORDER BY ALL",
        [ids],
    )["explanation_id"].to_pylist()
    return Removal(
        kind="model",
        names=tuple(ids),
        steps=(
            _of_ids(session, "effects", "explanation_id", explanations, "numbers of explanations"),
            _of_ids(session, "erasures", "model_id", ids, "erased predictions"),
            _of_ids(session, "predictions", "model_id", ids, "predictions"),
        ),
        last=(_of_ids(session, "models", "model_id", ids, "models"),),
    )


def _of_ids(session: Session, table: str, of: str, ids: Sequence[str], what: str) -> Step:
    if table not in session.versions:
        return Step(table, what, (), 0)
    there = SQL(f"FROM {identifier(table)} WHERE {identifier(of)} IN (SELECT unnest(?))")
    n = session.query(f"SELECT count(*) AS n {there}", [list(ids)])["n"][0].as_py()
    return by_ids(table, of, ids, what, n)


def _of_condition(session: Session, table: str, condition: SQL, what: str) -> Step:
    if table not in session.versions:
        return Step(table, what, (), 0)
    n = session.query(f"SELECT count(*) AS n FROM {identifier(table)} WHERE {condition}")["n"][
        0
    ].as_py()
    return Step(table, what, (condition,), n)


def _models(session: Session, condition: SQL, parameters: list[object]) -> list[str]:
    rows = session.query(
        f"SELECT model_id FROM models WHERE {condition} ORDER BY model_id", parameters
    )
    return list(rows["model_id"].to_pylist())


def _models_stay(models: Sequence[str]) -> str:
    stay = "stays, and its" if len(models) == 1 else "stay, and their"
    return (
        f"{counted(len(models), 'model', 'models')} that learned from it {stay} lineage says so: "
        f"{shown_names(models)}"
    )


def _remove_texts_without_sentences(store: FeatureStore, run: Run) -> dict[str, int]:
    """Vectors of texts that went with the sentences; a text that another structure has stays."""
    with store.session() as session:
        _give_to_others(store, session, run)
    with store.session() as session:
        stored = [Vectors.of(session, encoder) for encoder in encoders(session, "text")]
        ids = pa.chunked_array([vectors.ids for vectors in stored], pa.string())
        orphans = unrendered(session, pc.unique(ids)) if len(ids) else pa.array([], pa.string())
        found = {
            vectors.table: vectors.ids.filter(pc.is_in(vectors.ids, orphans)).to_pylist()
            for vectors in stored
        }
    removed = {}
    for table, gone in found.items():
        for condition in by_ids(table, "text_id", gone, "vectors of texts", len(gone)).conditions:
            store.remove(table, condition)
        if gone:
            removed[table] = len(gone)
    return removed


def _give_to_others(store: FeatureStore, session: Session, run: Run) -> None:
    """Put on record which text an erasure of another material has read, where nothing else does."""
    rows = session.query(
        "SELECT e.text_id, min_by(struct_pack(structure_id := m.structure_id, "
        "generator_id := o.generator_id, variant := e.variant), m.structure_id) AS first "
        "FROM erasures e JOIN materials m USING (material_id) JOIN models o USING (model_id) "
        "WHERE e.text_id <> '' AND o.generator_id IS NOT NULL "
        "AND e.text_id NOT IN (SELECT text_id FROM renderings) "
        "AND e.text_id NOT IN (SELECT text_id FROM full_texts) GROUP BY e.text_id"
    ).to_pylist()
    store.merge_rows(
        "renderings",
        [row["first"] | {"text_id": row["text_id"], "run_id": run.run_id} for row in rows],
    )
