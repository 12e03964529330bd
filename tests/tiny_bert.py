"""A two-layer BERT with random weights and a small vocabulary, on disk in the real format."""

from __future__ import annotations

import json
import string
from pathlib import Path

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = """
a about all and angle angles are as atom atoms atomic axis bond bonded bonds cell center chemical
clusters conventional coordinate coordination corner corners crystal crystallizes cubic density
direction distance distances distorted edge edges eight equivalent face faces five form formula four
fraction fractions geometry group groups has hexagonal in inequivalent information is lattice layer
layers length lengths linear longer mixture molecular monoclinic nine number octahedra octahedral of
one or orthorhombic other parameters peaks planar point primitive prototype range ranging
rhombohedral rings see share sharing sheet sheets shorter site sites six space square state
structure structured symbol system tetragonal tetrahedra tetrahedral that the there three tilt to
top triclinic trigonal twelve two types unit values volume weight with wyckoff xrd
"""


def vocabulary() -> list[str]:
    """Special tokens, common words of descriptions, and every printable character twice."""
    characters = [c for c in string.printable if not c.isspace() and not c.isupper()]
    characters += list("×°³²₁₂₃₄₅₆₇₈₉₀–−")
    pieces = characters + ["##" + c for c in characters]
    return list(dict.fromkeys([*SPECIAL, *WORDS.split(), *pieces]))


def write_tiny_bert(folder: Path, seed: int = 0, layers: int = 2, hidden: int = 32) -> Path:
    """Write configuration, weights and tokenizer files into ``folder``, and return it.

    The same arguments give the same bytes. Unknown words are spelt out in characters, so that no
    description comes out as unknown tokens.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary()
    values = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 4 * hidden,
        "vocab_size": len(tokens),
        # Wide weights, so that texts differ clearly where the default would make them alike.
        "initializer_range": 0.2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(BertConfig(**values))
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer) + "\n", encoding="utf-8")
    return folder
