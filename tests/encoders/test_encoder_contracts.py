"""Every encoder that ships keeps the contract that strangers' are tested with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tiny_alignn import write_tiny_alignn
from tiny_bert import write_tiny_bert

from featurestore.plugins import ENCODERS, load_part
from featurestore.testing import EncoderContract
from ingest.encoders.base import EncoderPart
from ingest.encoders.parallel import has_bfloat16_products

# Where a processor does not multiply in bfloat16, that precision is refused.
PRECISION = "bfloat16" if has_bfloat16_products() else None


class TestAlignn(EncoderContract):
    other_values: ClassVar = {
        "layer": "gcn_1",
        "backend": "dgl" if importlib.util.find_spec("dgl") else None,
        "device": None,
        "precision": PRECISION,
    }

    @pytest.fixture
    def part(self) -> EncoderPart:
        return load_part(ENCODERS, "alignn", EncoderPart)

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("weights") / "tiny-alignn"
        write_tiny_alignn(folder)
        return folder


class TestBert(EncoderContract):
    other_values: ClassVar = {"layer": 1, "device": None, "max_tokens": 100}

    @pytest.fixture
    def part(self) -> EncoderPart:
        return load_part(ENCODERS, "bert", EncoderPart)

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return write_tiny_bert(tmp_path_factory.mktemp("weights") / "tiny-bert")


class TestProseNumbers(EncoderContract):
    @pytest.fixture
    def part(self) -> EncoderPart:
        return load_part(ENCODERS, "prose-numbers", EncoderPart)


@pytest.mark.skipif(not importlib.util.find_spec("chgnet"), reason="chgnet is not installed")
class TestChgnet(EncoderContract):
    other_values: ClassVar = {"device": None}

    @pytest.fixture
    def part(self) -> EncoderPart:
        return load_part(ENCODERS, "chgnet", EncoderPart)


@pytest.mark.skipif(not importlib.util.find_spec("matminer"), reason="matminer is not installed")
class TestMatminer(EncoderContract):
    memory_calls: ClassVar = 8
    other_values: ClassVar = {"featurizers": "DensityFeatures"}

    @pytest.fixture
    def part(self) -> EncoderPart:
        return load_part(ENCODERS, "matminer", EncoderPart)

    @pytest.fixture(scope="class")
    def encoder(self) -> Any:
        return load_part(ENCODERS, "matminer", EncoderPart).build()


class TestMatminerByName(EncoderContract):
    settings: ClassVar = {"featurizers": "ElementProperty:magpie,DensityFeatures"}
    other_values: ClassVar = {"featurizers": "DensityFeatures"}

    @pytest.fixture
    def part(self) -> EncoderPart:
        pytest.importorskip("matminer")
        return load_part(ENCODERS, "matminer", EncoderPart)
