"""CIFs of several data blocks of which one breaks the syntax: the others are read."""

from __future__ import annotations

import pytest
from structure_texts import counts, records, rock_salt

from featurestore.failure import Failure

GOOD = rock_salt()
SHORT_LOOP = rock_salt().replace("data_x", "data_short").replace(" 0.5 0.5 0.5 1", " 0.5 0.5")
NO_STRUCTURE = "data_journal\nloop_\n_author\n_address\none two three\n"


@pytest.mark.parametrize("text", [GOOD + SHORT_LOOP, SHORT_LOOP + GOOD])
def test_one_broken_block_is_one_failure(tmp_path, text):
    found = records(tmp_path, "a.cif", text)
    assert sorted(one.material_id for one in found) == ["a/1", "a/2"]
    [failure] = [one.structure for one in found if isinstance(one.structure, Failure)]
    [good] = [one for one in found if not isinstance(one.structure, Failure)]
    assert counts(good) == {"Na": 4, "Cl": 4}
    assert failure.error == "UnreadableFileError"
    line = 10 + text.index("data_short") // len(GOOD) * GOOD.count("\n")
    assert f"a.cif, block short: the CIF's syntax is broken: line {line}: " in failure.message


@pytest.mark.parametrize("text", [GOOD + NO_STRUCTURE, NO_STRUCTURE + GOOD])
def test_a_broken_block_without_sites_is_no_failure(tmp_path, text):
    [record] = records(tmp_path, "a.cif", text)
    assert record.material_id == "a" and counts(record) == {"Na": 4, "Cl": 4}


def test_two_blocks_of_one_name(tmp_path):
    found = records(tmp_path, "a.cif", GOOD + GOOD.replace("Na", "K"))
    assert [counts(one) for one in found] == [{"Na": 4, "Cl": 4}, {"K": 4, "Cl": 4}]


def test_a_header_in_a_text_is_no_block(tmp_path):
    text = f"data_a\n_x\n;\n{SHORT_LOOP};\n{NO_STRUCTURE}{GOOD}"
    [record] = records(tmp_path, "a.cif", text)
    assert counts(record) == {"Na": 4, "Cl": 4}
