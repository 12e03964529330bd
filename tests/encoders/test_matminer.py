"""Hand-made features as an encoder: identity, values known from elsewhere, failures as values."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.errors import InvalidInputError, MissingDataError
from featurestore.failure import Failure
from ingest.encoders.base import StructureVector
from ingest.encoders.load import load_encoder
from ingest.encoders.matminer import MatminerEncoder

pytest.importorskip("matminer")

SALT = Crystal(
    np.array([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]]),
    ("Na", "Cl"),
    np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
)
XENON = Crystal(np.eye(3) * 6.2, ("Xe",), np.zeros((1, 3)))


@pytest.fixture(scope="module")
def encoder() -> MatminerEncoder:
    return MatminerEncoder()


def _vector(result: StructureVector | Failure) -> np.ndarray:
    assert isinstance(result, StructureVector)
    return result.vector


def test_known_values_stand_under_their_names(encoder: MatminerEncoder) -> None:
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


def test_an_element_without_tabulated_values_has_finite_features(encoder: MatminerEncoder) -> None:
    assert np.isfinite(_vector(encoder.encode([XENON])[0])).all()


def test_one_bad_structure_does_not_lose_the_others(encoder: MatminerEncoder) -> None:
    unknown = Crystal(SALT.lattice, ("Na", "Qq"), SALT.frac_coords)
    first, bad, last = encoder.encode([SALT, unknown, SALT])
    assert isinstance(bad, Failure) and "Qq" in bad.message
    np.testing.assert_array_equal(_vector(first), _vector(last))


def test_it_loads_by_name_and_takes_no_settings(
    encoder: MatminerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_encoder("matminer").spec.encoder_id == encoder.spec.encoder_id
    with pytest.raises(InvalidInputError, match="no settings"):
        load_encoder("matminer", settings={"layer": "last"})

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(MissingDataError, match=r"materials-featurestore\[matminer\]"):
        load_encoder("matminer")
