"""What every reader of structure files has to keep."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from featurestore.crystal import Crystal
from featurestore.errors import FeatureStoreError
from featurestore.failure import Failure
from featurestore.testing.parts import PartContract

_GARBAGE = (
    b"\x00\xff\xfe\x80" * 64,
    b"Dear reader,\nthis is a letter and no structure.\n" * 8,
    b"",
    b"1 2 3 4\n" * 12,
)


class SourceContract(PartContract):
    """Tests for a structure reader; a subclass gives ``part`` and the fixture ``files``."""

    @pytest.fixture
    def files(self) -> Mapping[str, bytes]:
        """By their names files that it reads, none compressed; subclasses return theirs."""
        raise NotImplementedError

    def identity(self, made: Any) -> Mapping[str, Any]:
        found: Mapping[str, Any] = made.identity()
        return found

    def test_it_recognises_its_files(self, part: Any, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            plain = name.lower()
            assert (
                plain.endswith(part.suffixes)
                or any(plain.startswith(start) for start in part.names)
                or (part.recognises and part.recognises(data[:65536].decode("latin-1")))
            ), f"neither the name nor the content of {name} says that it is for {part.name!r}"

    def test_it_recognises_no_garbage(self, part: Any) -> None:
        for data in _GARBAGE:
            assert not part.recognises or not part.recognises(data.decode("latin-1"))

    def test_every_file_holds_structures(self, part: Any, files: Mapping[str, bytes]) -> None:
        assert files
        for name, data in files.items():
            crystals = [one.structure for one in part.found(name, data)]
            for crystal in crystals:
                assert isinstance(crystal, Crystal), crystal
                assert crystal.lattice.shape == (3, 3) and crystal.n_atoms
                assert crystal.frac_coords.shape == (crystal.n_atoms, 3)
                assert np.isfinite(crystal.lattice).all() and crystal.volume > 0
                assert np.isfinite(crystal.frac_coords).all()

    def test_the_same_file_has_the_same_structures(
        self, part: Any, files: Mapping[str, bytes]
    ) -> None:
        assert _read(part, files) == _read(part, files)

    def test_order_does_not_matter(self, part: Any, files: Mapping[str, bytes]) -> None:
        reversed_ = dict(reversed(list(files.items())))
        assert _read(part, files) == _read(part, reversed_)

    def test_compression_does_not_matter(self, part: Any, files: Mapping[str, bytes]) -> None:
        plain = _read(part, files)
        for suffix, pack in (
            (".gz", gzip.compress),
            (".bz2", bz2.compress),
            (".XZ", lzma.compress),
        ):
            packed = {f"{name}{suffix}": pack(data) for name, data in files.items()}
            assert list(_read(part, packed).values()) == list(plain.values())

    def test_garbage_is_refused_in_words(self, part: Any, files: Mapping[str, bytes]) -> None:
        for name in files:
            for data in _GARBAGE:
                try:
                    found = part.found(name, data)
                except FeatureStoreError as error:
                    assert str(error).strip(), "the refusal has no message"
                    continue
                for one in found:
                    assert isinstance(one.structure, Failure), f"{name}: {data[:20]!r} was read"
                    assert one.structure.message.strip()

    def test_one_failure_does_not_lose_the_others(
        self, part: Any, files: Mapping[str, bytes]
    ) -> None:
        before = _read(part, files)
        for name, data in files.items():
            for bad in (*_GARBAGE, data[: len(data) // 2]):
                try:
                    part.found(name, bad)
                except Exception as error:
                    assert str(error).strip(), "the failure has no message"
        assert _read(part, files) == before

    def test_memory_is_bounded(self, part: Any, files: Mapping[str, bytes]) -> None:
        self.check_memory(lambda number: _read(part, files))


def _read(part: Any, files: Mapping[str, bytes]) -> dict[str, Any]:
    """By file what is found, in a form that can be compared to the bit."""
    return {
        name: [_comparable(one, name) for one in part.found(name, data)]
        for name, data in files.items()
    }


def _comparable(one: Any, name: str) -> tuple[Any, ...]:
    crystal = one.structure
    assert isinstance(crystal, Crystal), f"{name} is not read: {crystal}"
    return (
        crystal.lattice.tobytes(),
        crystal.species,
        crystal.frac_coords.tobytes(),
        *(one.block, one.notes, dict(one.targets), one.material_id, one.space_group),
    )
