"""Two versions side by side: compared, promoted, retired, and never mixed."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from whole_store import (
    GENERATOR,
    PROPERTY,
    RECIPE,
    SOURCE,
    STRUCTURE_ENCODER,
    TEXT_ENCODER,
    crystal,
    ingest_vectors,
    register_encoder,
    sentences,
    view_choices,
)

from featurestore.catalogue import find_encoder
from featurestore.cli import root
from featurestore.errors import InvalidInputError, MissingDataError, UnknownNameError
from featurestore.history.drift import compare_versions, neighbour_overlap
from featurestore.identity import versioned_id
from featurestore.store import FeatureStore
from featurestore.tables.schemas import embedding_table
from featurestore.upkeep.verify import verify
from train.training import train_model

OTHER = versioned_id("toy-graph", {"version": 2})


def add_version(store: FeatureStore, noise: float = 0.1, count: int = 20) -> None:
    """A second version of the structure encoder, whose vectors differ by noise."""
    with store.run("ingest embeddings", {}) as run:
        register_encoder(store, "toy-graph", "structure", {"version": 2}, 4, run.run_id)
        ids = [crystal(i).structure_id for i in range(count)]
        ingest_vectors(store, embedding_table("structure", OTHER), ids, run, noise)


def invoke(store: FeatureStore, *arguments: str):
    return CliRunner().invoke(root, ["encoders", *arguments, "--store", store.uri])


def used(store: FeatureStore) -> str:
    """Which version the name means, in Python and in SQL."""
    view = store.training_view(PROPERTY, **view_choices())
    with store.session() as session:
        assert find_encoder(session, "toy-graph", "structure").encoder_id == (
            view.parameters.structure_encoder
        )
    table = embedding_table("structure", str(view.parameters.structure_encoder))
    rows = store.sql(f"FROM {table} ORDER BY ALL")
    assert store.sql("FROM structure_embeddings__toy_graph ORDER BY ALL").equals(rows)
    return str(view.parameters.structure_encoder)


@pytest.mark.slow
def test_a_second_version_makes_the_name_ambiguous_until_one_is_promoted(store):
    assert used(store) == STRUCTURE_ENCODER
    add_version(store)
    with pytest.raises(InvalidInputError, match="several versions"):
        used(store)
    assert invoke(store, "promote", OTHER, "--reason", "better").exit_code == 0
    assert used(store) == OTHER
    back = invoke(store, "promote", STRUCTURE_ENCODER)
    assert f"in place of {OTHER}" in back.output
    assert used(store) == STRUCTURE_ENCODER
    assert list(verify(store)) == []


def test_a_retired_version_is_hidden_from_its_name_only(store):
    add_version(store)
    assert invoke(store, "retire", STRUCTURE_ENCODER).exit_code == 0
    assert used(store) == OTHER
    by_id = store.training_view(
        PROPERTY, **(view_choices() | {"structure_encoder": STRUCTURE_ENCODER})
    )
    assert by_id.parameters.structure_encoder == STRUCTURE_ENCODER
    assert store.dataset(embedding_table("structure", STRUCTURE_ENCODER)).count_rows() == 20
    invoke(store, "retire", OTHER)
    with pytest.raises(InvalidInputError, match="is retired; name its id"):
        used(store)
    assert STRUCTURE_ENCODER in invoke(store, "list").output


def test_generators_likewise(store):
    other = versioned_id(SOURCE, {"version": 2})
    row = store.sql("FROM generators").to_pylist()[0]
    store.merge_rows("generators", [row | {"generator_id": other, "fingerprint": '{"version":2}'}])
    rows = store.sql("FROM sentences").to_pylist()
    store.merge_rows("sentences", [row | {"generator_id": other} for row in rows])
    count = "SELECT count(*) AS n FROM texts('toytext')"
    with pytest.raises(Exception, match="several generators"):
        store.sql(count)
    invoke(store, "retire", GENERATOR)
    assert store.training_view(PROPERTY, **view_choices()).parameters.generator_id == other
    assert store.sql(count)["n"].to_pylist() == [20]
    assert store.sql(f"SELECT count(*) AS n FROM texts('{GENERATOR}')")["n"].to_pylist() == [20]
    with store.session() as session:
        drift = compare_versions(session, GENERATOR, other, text_encoder="toy-words")
    assert drift.cosine_lowest == pytest.approx(1) and drift.neighbour_overlap == 1
    assert len(sentences(0)) == 2


def test_drift_grows_with_the_difference(store):
    add_version(store, noise=0.0)
    with store.session() as session:
        same = compare_versions(session, STRUCTURE_ENCODER, OTHER)
    assert same.common == same.sampled == 20
    assert same.cosine_mean == pytest.approx(1) and same.norm_ratio == pytest.approx(1)
    assert same.neighbour_overlap == 1 and same.errors == ()


def test_drift_by_hand(store):
    add_version(store, noise=0.5, count=12)
    x, y = (
        {
            row["structure_id"]: np.array(row["vector"])
            for row in store.sql(f"FROM {embedding_table('structure', one)}").to_pylist()
        }
        for one in (STRUCTURE_ENCODER, OTHER)
    )
    common = sorted(x.keys() & y.keys())
    cosines = [x[one] @ y[one] / np.linalg.norm(x[one]) / np.linalg.norm(y[one]) for one in common]
    with store.session() as session:
        drift = compare_versions(session, STRUCTURE_ENCODER, OTHER)
    assert drift.common == 12
    assert drift.cosine_mean == pytest.approx(np.mean(cosines))
    assert drift.cosine_lowest == pytest.approx(min(cosines))
    assert 0 < drift.neighbour_overlap < 1


def test_neighbour_overlap_by_hand():
    angles = np.linspace(0, 1, 30)
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert neighbour_overlap(x, 3 * x) == 1
    assert (
        neighbour_overlap(x[:3], x[[2, 0, 1]]) == 1
    )  # of three, each has all others as neighbours


def test_errors_of_models_that_differ_in_the_version_alone(store):
    add_version(store)
    for one in (STRUCTURE_ENCODER, OTHER):
        choices = {"structure_encoder": one, "split": "toy"}
        train_model(
            store, store.training_view(PROPERTY, features="structure", **choices), RECIPE, 0
        )
    with store.session() as session:
        (pair,) = compare_versions(session, STRUCTURE_ENCODER, OTHER).errors
        stored = session.query(
            "SELECT structure_encoder, avg(abs(p.target - p.prediction)) AS mae FROM models "
            "JOIN predictions p USING (model_id) WHERE fold = 'test' AND features = 'structure' "
            "GROUP BY ALL"
        ).to_pylist()
    maes = {row["structure_encoder"]: row["mae"] for row in stored}
    assert pair.mae_a == pytest.approx(maes[STRUCTURE_ENCODER])
    assert pair.mae_b == pytest.approx(maes[OTHER])
    done = invoke(store, "compare", STRUCTURE_ENCODER, OTHER)
    assert done.exit_code == 0 and "neighbour_overlap" in done.output and "mae_b" in done.output


def test_what_cannot_be_compared(store):
    with store.session() as session:
        with pytest.raises(InvalidInputError, match="is a structure encoder"):
            compare_versions(session, STRUCTURE_ENCODER, TEXT_ENCODER)
        with pytest.raises(InvalidInputError, match="text-encoder"):
            compare_versions(session, GENERATOR, GENERATOR)
        with pytest.raises(InvalidInputError, match="no id of an encoder"):
            compare_versions(session, "nothing", GENERATOR)
    add_version(store, count=1)
    with store.session() as session, pytest.raises(MissingDataError, match="1 vectors in common"):
        compare_versions(session, STRUCTURE_ENCODER, OTHER)
    done = invoke(store, "promote", "nothing")
    assert isinstance(done.exception, UnknownNameError)
