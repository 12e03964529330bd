"""Hand-made features as an encoder: identity, values known from elsewhere, failures as values."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError, UnknownNameError
from featurestore.failure import Failure
from featurestore.plugins import MissingPackageError
from ingest.encoders.base import StructureEncoder, StructureVector
from ingest.encoders.load import load_encoder
from ingest.encoders.matminer.part import MATMINER

pytest.importorskip("matminer")

SALT = Crystal(
    np.array([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]]),
    ("Na", "Cl"),
    np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
)
XENON = Crystal(np.eye(3) * 6.2, ("Xe",), np.zeros((1, 3)))


@pytest.fixture(scope="module")
def encoder() -> StructureEncoder:
    return load_encoder("matminer")


def _vector(result: StructureVector | Failure) -> np.ndarray:
    assert isinstance(result, StructureVector)
    return result.vector


def test_known_values_stand_under_their_names(encoder: StructureEncoder) -> None:
    composition, structure = encoder.spec.fingerprint["features"]
    vector = _vector(encoder.encode([SALT])[0])
    values = dict(zip([*composition, *structure], vector.tolist(), strict=True))
    assert values["MagpieData mean Number"] == 14.0  # of 11 and 17
    assert values["MagpieData range Electronegativity"] == pytest.approx(3.16 - 0.93)
    assert values["density"] == pytest.approx(2.163, abs=0.01)  # g/cm³
    assert values["vpa"] == pytest.approx(2.82**3)
    assert values["spacegroup_num"] == 225
    assert values["is_centrosymmetric"] == 1
    assert [(s.name, s.start, s.stop) for s in encoder.spec.segments] == [
        ("composition", 0, len(composition)),
        ("structure", len(composition), len(vector)),
    ]
    assert encoder.spec.dimension == len(vector)
    assert vector.dtype == np.float32


def test_an_element_without_tabulated_values_has_finite_features(encoder: StructureEncoder) -> None:
    assert np.isfinite(_vector(encoder.encode([XENON])[0])).all()


def test_one_bad_structure_does_not_lose_the_others(encoder: StructureEncoder) -> None:
    unknown = Crystal(SALT.lattice, ("Na", "Qq"), SALT.frac_coords)
    first, bad, last = encoder.encode([SALT, unknown, SALT])
    assert isinstance(bad, Failure) and "Qq" in bad.message
    np.testing.assert_array_equal(_vector(first), _vector(last))


def test_the_baseline_keeps_its_identity(encoder: StructureEncoder) -> None:
    """Stores hold vectors under this fingerprint, from before there were settings."""
    assert set(encoder.spec.fingerprint) == {
        "features",
        "versions",
        "missing values",
        "trained_on",
    }
    assert encoder.spec.fingerprint["missing values"] == "mean over the elements"
    assert encoder.spec.fingerprint["trained_on"] == []
    other = load_encoder("matminer", impute_nan=False)
    assert other.spec.segments == encoder.spec.segments
    assert other.spec.encoder_id != encoder.spec.encoder_id


def test_named_featurizers_have_a_segment_each() -> None:
    encoder = load_encoder("matminer", featurizers="ElementProperty:deml , DensityFeatures")
    assert [segment.name for segment in encoder.spec.segments] == [
        "ElementProperty_deml",
        "DensityFeatures",
    ]
    parts = encoder.spec.fingerprint
    assert parts["settings"] == {
        "featurizers": "ElementProperty:deml,DensityFeatures",
        "impute_nan": True,
    }
    assert parts["features"][1] == ["density", "vpa"]
    density = _vector(encoder.encode([SALT])[0])[encoder.spec.segments[1].start]
    assert density == pytest.approx(2.163, abs=0.01)
    closer = load_encoder("matminer", featurizers="ElementProperty:deml,DensityFeatures")
    assert closer.spec.encoder_id == encoder.spec.encoder_id
    turned = load_encoder("matminer", featurizers="DensityFeatures,ElementProperty:deml")
    assert turned.spec.encoder_id != encoder.spec.encoder_id


@pytest.mark.parametrize(
    ("featurizers", "error", "message"),
    [
        ("ElementPropert:magpie", UnknownNameError, "did you mean 'ElementProperty'"),
        ("ElementProperty", InvalidInputError, "ElementProperty needs .*name a preset"),
        ("ElementProperty:magpy", InvalidInputError, "ElementProperty:magpy cannot be made"),
        ("DensityFeatures:best", InvalidInputError, "DensityFeatures has no presets"),
        ("DensityFeatures,BagofBonds", InvalidInputError, "BagofBonds has to be fitted"),
        ("DensityFeatures,DensityFeatures", InvalidInputError, "'DensityFeatures' is named twice"),
        ("DensityFeatures,", InvalidInputError, "'' is no name of a featurizer"),
    ],
)
def test_featurizers_that_cannot_be_used_are_named(
    featurizers: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_encoder("matminer", featurizers=featurizers)


def test_a_value_that_is_missing_is_a_failure_unless_it_is_imputed() -> None:
    named = "DensityFeatures,ElementProperty:deml"
    (failure,) = load_encoder("matminer", featurizers=named, impute_nan=False).encode([XENON])
    assert isinstance(failure, Failure) and failure.error == "NotFinite"
    assert "ElementProperty:deml gives nan for 'DemlData " in failure.message
    (imputed,) = load_encoder("matminer", featurizers=named).encode([XENON])
    assert np.isfinite(_vector(imputed)).all()


def test_a_feature_that_is_no_number_is_named() -> None:
    (failure,) = load_encoder("matminer", featurizers="AtomicOrbitals").encode([SALT])
    assert isinstance(failure, Failure) and failure.error == "NotANumber"
    assert failure.message == "AtomicOrbitals gives 'p' for 'HOMO_character', no number"


def test_settings_it_does_not_have_and_a_package_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UnknownNameError, match="unknown setting of 'matminer': 'layer'"):
        load_encoder("matminer", layer="last")

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(MissingPackageError, match=r"materials-featurestore\[matminer\]"):
        MATMINER.build()
