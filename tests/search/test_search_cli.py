"""``featurestore search`` as a user meets it; encoders are stand-ins that tell what they got."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from synthetic_store import STRUCTURE_ENCODER, TEXT_ENCODER, structure_vector, text_vector
from tiers import few

import ingest.encoders.load
from featurestore.catalogue import encoders
from featurestore.cli.root import root
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from ingest.encoders.alignn.part import ALIGNN
from ingest.encoders.base import EncoderPart, EncoderSpec, Segment, StructureVector, TextVector
from ingest.encoders.load import load_like
from ingest.encoders.registry import NamedEncoder

POSCAR = "salt\n1.0\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"


def run(store, *arguments):
    result = CliRunner().invoke(root, ["search", *arguments, "--store", store.uri])
    if result.exception is not None:
        raise result.exception
    return result


def found(store, *arguments):
    output = run(store, *arguments, "--format", "json").stdout
    return json.loads(output)


@dataclass
class Stand:
    """An encoder with a given fingerprint, which gives one result for everything."""

    kind: str
    result: object
    parts: dict
    got: list

    @property
    def spec(self):
        return EncoderSpec("toy", self.kind, 4, (Segment("all", 0, 4),), self.parts)

    def encode(self, values):
        self.got += values
        return [self.result]


@pytest.fixture
def stand(monkeypatch):
    """Replaces what is loaded; the toy encoders have an empty fingerprint."""

    def make(kind, result, parts=None):
        encoder = Stand(kind, result, parts or {}, [])
        part = EncoderPart(name="toy", summary="", kind=kind, make=lambda request: encoder)
        monkeypatch.setattr(
            ingest.encoders.load, "named_encoder", lambda name: NamedEncoder(part, name)
        )
        return encoder

    return make


def test_like_prints_and_writes(store, tmp_path):
    rows = found(store, "like", "toy-007", "-k", "3", "--where", "crystal_system = 'cubic'")
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert {row["crystal_system"] for row in rows} == {"cubic"}
    path = tmp_path / "hits.parquet"
    result = run(store, "like", "toy-007", "--space", "both", "--explain", "-o", str(path))
    assert result.stdout == f"10 rows written to {path}\n"
    names = pq.read_table(path).schema.names
    assert {"structure_rank", "text_distance", "structure.all", "shared"} <= set(names)


def test_a_structure_file_is_encoded_and_not_stored(store, tmp_path, stand):
    encoder = stand("structure", StructureVector(structure_vector(12)))
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR)
    before = store.dataset("materials").version
    rows = found(store, "structure", str(path), "-k", "2")
    assert rows[0]["material_id"] == "toy-012" and rows[0]["distance"] == 0
    assert encoder.got[0].species == ("Na", "Cl")
    assert store.dataset("materials").version == before


def test_files_that_hold_no_structure_or_several(store, tmp_path, stand):
    stand("structure", Failure("NoNeighbours", "atom 0 has none"))
    bad = tmp_path / "bad.cif"
    bad.write_text("nothing")
    with pytest.raises(InvalidInputError, match=r"cannot read .*bad.cif"):
        run(store, "structure", str(bad))
    with pytest.raises(InvalidInputError, match="cannot read"):
        run(store, "structure", str(tmp_path / "absent.cif"))
    poscar = tmp_path / "POSCAR"
    poscar.write_text(POSCAR)
    with pytest.raises(InvalidInputError, match=r"cannot encode .*POSCAR: atom 0 has none"):
        run(store, "structure", str(poscar))


def test_text_by_embedding_words_and_both(store, stand):
    sentences = ["robocrystallographer summarises material 11."]
    encoder = stand("text", TextVector(text_vector(sentences), 5, False))
    by_vector = found(store, "text", "some words", "--by", "embedding", "-k", "1")
    assert by_vector[0]["material_id"] == "toy-011" and encoder.got == ["some words"]
    by_words = found(store, "text", "bonds of 42", "--by", "words", "-k", "1", "--explain")
    assert by_words[0]["material_id"] == "toy-042" and by_words[0]["sentences"]
    both = found(store, "text", "material 11", "-k", "1")
    assert both[0]["material_id"] == "toy-011"
    assert both[0]["text_rank"] == 1 and both[0]["words_rank"] == 1


def test_words_that_nothing_holds_are_said(store):
    result = run(store, "text", "nowhere", "--by", "words")
    assert "holds 'nowhere'" in result.stderr and "no material" in result.stderr
    with pytest.raises(InvalidInputError, match="no word"):
        run(store, "text", " ; ", "--by", "words")


def test_weights_of_another_encoder_are_refused(store, stand, tmp_path):
    """The stored vectors are of an encoder that has since changed."""
    stand("structure", StructureVector(structure_vector(0)), {"weights": "new"})
    with store.session() as session:
        (encoder,) = (e for e in encoders(session) if e.encoder_id == STRUCTURE_ENCODER)
    with pytest.raises(
        InvalidInputError, match=r"makes toy_\w+, not toy_graph_0000000001.* differ in weights"
    ):
        load_like(encoder)


def test_settings_of_the_fingerprint_are_used(monkeypatch, store):
    parts = {"layer": "gcn_1", "precision": "bfloat16", "device": "cpu", "pooling": "mean"}
    asked = {}

    def make(request):
        asked.update(request.settings, name=request.name)
        return Stand("structure", None, parts, [])

    part = replace(ALIGNN, make=make)
    monkeypatch.setattr(
        ingest.encoders.load, "named_encoder", lambda name: NamedEncoder(part, name)
    )
    with store.session() as session:
        encoder = next(e for e in encoders(session) if e.kind == "structure")
    object.__setattr__(encoder, "fingerprint", parts)
    load_like(encoder, "folder")
    assert asked == {
        "name": "folder",
        "precision": "bfloat16",
        "device": "cpu",
        "layer": "gcn_1",
        "backend": "torch",
    }


@pytest.mark.parametrize("colour", few(["crystal_system", "mbj_bandgap", "material_id"]))
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_maps(store, tmp_path, colour, method):
    path, points = tmp_path / "map.png", tmp_path / "points.json"
    arguments = ["--colour", colour, "--method", method, "-o", str(path), "--points", str(points)]
    run(store, "map", "--encoder", "toy-text", *arguments)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(points.read_text())) == 60


def test_a_map_is_of_principal_components(store, tmp_path):
    points = tmp_path / "points.json"
    run(store, "map", "-o", str(tmp_path / "m.png"), "--points", str(points))
    drawn = json.loads(points.read_text())
    vectors = np.stack([structure_vector(int(row["material_id"][-3:])) for row in drawn])
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    for axis, name in enumerate("xy"):
        got = np.array([row[name] for row in drawn])
        expected = left[:, axis] * values[axis]
        np.testing.assert_allclose(got * np.sign(got @ expected), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["map", "--colour", "mbj_bandgp"], UnknownNameError, "mbj_bandgap"),
        (["map", "--colour", "species"], InvalidInputError, "gives no colour"),
        (["map", "-o", "map.tiff"], InvalidInputError, "ends in .png, .svg or .pdf"),
        (["like", "toy-007", "--where", "true; DELETE FROM runs"], InvalidInputError, "expression"),
        (["like", "toy-007", "--encoder", TEXT_ENCODER], InvalidInputError, "encodes texts"),
        (["like", "toy-007", "-k", "-3"], InvalidInputError, "not -3"),
        (["like", "toy-007", "-o", "hits.xls"], InvalidInputError, "hits.xls"),
    ],
)
def test_bad_input(store, arguments, error, words):
    with pytest.raises(error, match=words):
        run(store, *arguments)


def test_indexes(store, tmp_path):
    with pytest.raises(Exception, match="exact search takes no time"):
        run(store, "index", "build")
    assert "exact" in run(store, "index", "status").stdout
    assert run(store, "index", "drop").stdout == "toy_graph_0000000001 has no index\n"
