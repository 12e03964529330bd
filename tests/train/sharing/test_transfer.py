"""A model travels in one file: same numbers elsewhere, other encoders refused, nothing is run."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forecast_lab as lab
import linear_predictor
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save
from tiers import few

import train
from featurestore.errors import InvalidInputError
from featurestore.preparation import MissingVersionError
from featurestore.store import FeatureStore
from featurestore.upkeep.verify import verify
from train.sharing import file as module
from train.sharing.file import content_sha256, read_model_file
from train.sharing.transfer import export_models, import_models


@pytest.fixture
def exported(lab_store: FeatureStore, lab_model: str, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    export_models(lab_store, lab_model, path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(tmp_path / "elsewhere", create=True)


def test_it_predicts_the_same_in_another_store(
    lab_store: FeatureStore, exported: Path, elsewhere: FeatureStore, tmp_path: Path
) -> None:
    files = lab.candidates(tmp_path / "new", {"one": 3.313, "far": 30.0})
    here = train.predict(lab_store, files)
    group, ids, new = import_models(elsewhere, exported)
    assert new == 1 and import_models(elsewhere, exported)[2] == 0
    there = train.predict(elsewhere, files)
    assert there.rows == here.rows
    assert there.rows[0].group_id == group and list(there.rows[0].model_ids) == ids
    assert not [finding for finding in verify(elsewhere) if finding.wrong]


def test_another_version_of_its_encoder_is_refused(
    exported: Path, elsewhere: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lab_of_cubes  # type: ignore[import-not-found]

    import_models(elsewhere, exported)
    monkeypatch.setitem(lab_of_cubes.VERSION, "n", 2)
    with pytest.raises(MissingVersionError, match="lab-edges"):
        train.predict(elsewhere, lab.candidates(tmp_path / "new", {"one": 3.313}))


def test_a_stores_own_model_is_not_imported(lab_store: FeatureStore, exported: Path) -> None:
    with pytest.raises(InvalidInputError, match="store's own"):
        import_models(lab_store, exported)


def test_weights_that_are_no_arrays_do_not_travel(
    lab_store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear_predictor.register(monkeypatch, tmp_path / "linear")
    model_id = lab.train_lab(lab_store, "linear")
    with pytest.raises(InvalidInputError, match="another form than safetensors"):
        export_models(lab_store, model_id, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """The file with its content and arrays changed."""
    arrays = load(path.read_bytes())
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    content = json.loads(metadata["content"])
    change(content, arrays)
    other = path.with_name("changed.safetensors")
    text = json.dumps(content)
    other.write_bytes(
        save(arrays, metadata | {"content": text, "sha256": content_sha256(text, arrays)})
    )
    return other


def _set(*path: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    *places, value = path

    def change(content: dict[str, Any], arrays: dict[str, Any]) -> None:
        at: Any = content
        for place in places[:-1]:
            at = at[place]
        at[places[-1]] = value

    return change


def _array(name: str, value: np.ndarray) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda content, arrays: arrays.update({name: value})


HOSTILE = {
    "another fingerprint under an id": (
        _set("encoders", 0, "fingerprint", '{"version":9}'),
        "not the id of its fingerprint",
    ),
    "a predictor that nobody registers": (_set("models", 0, "predictor", "os"), "none that"),
    "a setting that nobody declares": (
        _set("models", 0, "settings", '{"estimator":"SVR","run":"x"}'),
        "refused",
    ),
    "a class that is no regressor": (
        _set("models", 0, "settings", '{"estimator":"os.system"}'),
        "refused",
    ),
    "an encoder too many": (_set("encoders", []), "not those of its features"),
    "a further column": (_set("models", 0, "view_sql", "DROP TABLE x"), "other columns"),
    "unsound metrics": (_set("models", 0, "metrics", "{}"), "unsound"),
    "deep JSON": (_set("models", 0, "metrics", "[" * 5000 + "]" * 5000), "refused"),
    "no models": (_set("models", []), "holds 0 models"),
    "weights that are none": (_array("weights.0", np.zeros(9, np.uint8)), "refused"),
    "a further array": (_array("more", np.zeros(3)), "not the weights"),
    "features that are not finite": (
        _array("knowledge.features", np.full((40, 6), np.nan, np.float32)),
        "not finite",
    ),
    "features of another width": (
        _array("knowledge.features", np.zeros((40, 5), np.float32)),
        "width 5",
    ),
    "parts that overlap": (_set("knowledge", "parts", [["a", 0, 4], ["b", 2, 6]]), "cover"),
    "a negative calibration": (_set("knowledge", "calibration", "factor", -1.0), "negative"),
    "scores out of order": (_set("knowledge", "calibration", "scores", [2.0, 1.0]), "ascending"),
    "ids that are no strings": (_set("knowledge", "material_ids", [1] * 40), "refused"),
}


@pytest.mark.parametrize("case", few(HOSTILE, 6))
def test_what_a_stranger_changed_is_refused(
    case: str, exported: Path, elsewhere: FeatureStore
) -> None:
    change, words = HOSTILE[case]
    with pytest.raises(InvalidInputError, match=words) as error:
        import_models(elsewhere, changed(exported, change))
    assert "changed.safetensors" in str(error.value)
    assert elsewhere.tables() == []


def test_other_files_are_refused_before_they_are_read_whole(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = exported.read_bytes()
    cases = {
        "empty": b"",
        "text": b"hello, this is no model",
        "header": struct.pack("<Q", 2**60) + b"{}",
        "pickle": b"\x80\x04" + b"x" * 50,
        "array": save({"x": np.zeros(2)}),
        "cut": data[: len(data) // 2],
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=name):
            read_model_file(path)
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(InvalidInputError, match="MiB"):
        read_model_file(exported)


def test_a_bit_that_was_lost_on_the_way_is_noticed(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    content = data.index(b"predictor")
    places = [content + 3, *np.linspace(8 + size + 8, len(data) - 1, 7, dtype=int).tolist()]
    path = tmp_path / "flipped.safetensors"
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(InvalidInputError, match=r"flipped.safetensors is refused: its bytes"):
            read_model_file(path)


def test_a_width_that_its_weights_do_not_have_is_refused_before_it_is_made(
    lab_store: FeatureStore, tmp_path: Path
) -> None:
    model_id = lab.train_lab(lab_store, "mlp", max_epochs=2, widths=(16, 8))
    path = tmp_path / "mlp.safetensors"
    export_models(lab_store, model_id, path)
    read_model_file(path)

    def widen(content: dict[str, Any], arrays: dict[str, Any]) -> None:
        settings = json.loads(content["models"][0]["settings"])
        content["models"][0]["settings"] = json.dumps(settings | {"widths": [10_000_000, 8]})

    with pytest.raises(InvalidInputError, match="larger than its weights"):
        read_model_file(changed(path, widen))
