"""Text embeddings: ours, one text at a time, sentence-transformers, and the bare matrix products.

The reference is the paper's way: tokenizer and model of transformers, float32, one text after the
other, mean over the last layer's tokens. All ways take the same texts and the same weights; they
take turns, round after round, and the best time of each counts, because other work on the machine
only ever slows one down.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import queue
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.text_comparison import choose
from ingest.encoders.base import TextVector
from ingest.encoders.bert.encoder import TOKEN_BUDGET, load_bert_encoder
from ingest.encoders.bert.packing import pack_by_length
from ingest.encoders.parallel import all_cores
from ingest.sample import sample_archive
from ingest.text.registry import generator, text_sources
from ingest.weights.cache import weights_folder

MAX_TOKENS = 512


@dataclass
class Way:
    """A way to encode all texts, and what it took."""

    name: str
    encode: Callable[[], Any]
    seconds: float = np.inf
    vectors: np.ndarray | None = None

    def take_turn(self) -> None:
        start = time.perf_counter()
        result = self.encode()
        self.seconds = min(self.seconds, time.perf_counter() - start)
        self.vectors = result


def describe(archive: Path, source: str, n: int, seed: int) -> list[str]:
    made = generator(source)
    made.warm_up()
    chosen = choose(archive, n, seed)
    return [" ".join(s.text for s in made.describe(crystal)) for _, crystal in chosen]


def write_bert_base(folder: Path, tokenizer: Path) -> Path:
    """BERT-base with random weights: the arithmetic of bert-base-uncased and MatBERT."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def ours(folder: Path, texts: Sequence[str], precision: str) -> Callable[[], np.ndarray]:
    encoder = load_bert_encoder(folder, name="bench", precision=precision)

    def encode() -> np.ndarray:
        results = encoder.encode(texts)
        return np.array([r.vector for r in results if isinstance(r, TextVector)])

    return encode


def one_at_a_time(folder: Path, texts: Sequence[str]) -> Callable[[], np.ndarray]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def encode() -> np.ndarray:
        vectors = []
        for text in texts:
            inputs = tokenizer(
                text, truncation=True, max_length=MAX_TOKENS, padding=False, return_tensors="pt"
            )
            with torch.no_grad():
                vectors.append(model(**inputs).last_hidden_state.mean(dim=1)[0].numpy())
        return np.array(vectors)

    return encode


def sentence_transformers(folder: Path, texts: Sequence[str]) -> Callable[[], np.ndarray]:
    from sentence_transformers import SentenceTransformer, models

    transformer = models.Transformer(str(folder), max_seq_length=MAX_TOKENS)
    # The tokenizer file may carry a limit of its own.
    transformer.tokenizer.model_max_length = MAX_TOKENS
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    return lambda: model.encode(list(texts), batch_size=32, show_progress_bar=False)


def matrix_products(
    config: dict[str, int], lengths: Sequence[int], dtype: torch.dtype
) -> Callable[[], None]:
    """The matrix products of our batches alone, attention's included, into buffers made once.

    Threads take the batches as the encoder's do: products split over threads that wait for each
    other would be a lower mark to reach.
    """
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    batches = pack_by_length(lengths, TOKEN_BUDGET["cpu"])
    shapes = [(len(batch), lengths[batch[0]]) for batch in batches]
    weights = [
        torch.randn(rows, columns, dtype=dtype).T
        for rows, columns in [(hidden, hidden)] * 4 + [(wide, hidden), (hidden, wide)]
    ]
    largest = max(n * length for n, length in shapes)
    narrow, broad = (torch.randn(largest, size, dtype=dtype) for size in (hidden, wide))
    free: queue.SimpleQueue[dict[Any, list[torch.Tensor]]] = queue.SimpleQueue()
    for _ in range(torch.get_num_threads()):
        buffers = {None: [torch.empty(largest, w.shape[1], dtype=dtype) for w in weights]}
        for n, length in set(shapes):
            queries = torch.randn(n * heads, length, hidden // heads, dtype=dtype)
            scores = torch.empty(n * heads, length, length, dtype=dtype)
            buffers[n, length] = [queries, scores, torch.empty_like(queries)]
        free.put(buffers)

    def multiply(shape: tuple[int, int]) -> None:
        buffers = free.get()
        rows = shape[0] * shape[1]
        queries, scores, mixed = buffers[shape]
        for _ in range(layers):
            for weight, result in zip(weights, buffers[None], strict=True):
                source = broad if weight.shape[0] == wide else narrow
                torch.mm(source[:rows], weight, out=result[:rows])
            torch.bmm(queries, queries.transpose(1, 2), out=scores)
            torch.bmm(scores, queries, out=mixed)
        free.put(buffers)

    def run() -> None:
        with all_cores() as pool:
            list(pool.map(multiply, shapes))

    return run


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@click.command()
@click.option("--archive", type=click.Path(path_type=Path), default=sample_archive)
@click.option("--text", type=click.Choice(text_sources()), default="robocrystallographer")
@click.option("--texts", "texts_file", type=click.Path(path_type=Path), help="JSON list of texts.")
@click.option("--n", default=70, show_default=True, help="Number of random structures or texts.")
@click.option("--seed", default=0, show_default=True, help="Seed of the choice.")
@click.option("--weights", default="minilm", show_default=True, help="Pulled weights or a folder.")
@click.option("--bert-base", is_flag=True, help="BERT-base with random weights instead.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each way.")
def main(
    archive: Path,
    source: str,
    texts_file: Path | None,
    n: int,
    seed: int,
    weights: str,
    bert_base: bool,
    rounds: int,
) -> None:
    """Print tokens per second of each way, the share of the bare product, and the errors."""
    if texts_file:
        everything = json.loads(texts_file.read_text("utf-8"))
        picked = np.random.default_rng(seed).permutation(len(everything))[:n]
        texts = [everything[index] for index in picked]
    else:
        texts = describe(archive, source, n, seed)
    texts = list(dict.fromkeys(texts))
    with tempfile.TemporaryDirectory() as name:
        folder = weights_folder(weights)
        if bert_base:
            folder = write_bert_base(Path(name), folder)
        report(folder, "BERT-base, random weights" if bert_base else weights, texts, rounds)


def report(folder: Path, title: str, texts: list[str], rounds: int) -> None:
    encoder = load_bert_encoder(folder, name="bench")
    results = [result for result in encoder.encode(texts) if isinstance(result, TextVector)]
    lengths = [min(result.n_tokens, MAX_TOKENS) for result in results]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    plain = Way("reference: float32, one text at a time", one_at_a_time(folder, texts))
    exact = Way("ours, float32", ours(folder, texts, "float32"))
    rounded = Way("ours, bfloat16", ours(folder, texts, "bfloat16"))
    floor32 = Way("bare product, float32", matrix_products(config, lengths, torch.float32))
    floor16 = Way("bare product, bfloat16", matrix_products(config, lengths, torch.bfloat16))
    ways = [plain, exact, rounded, floor32, floor16]
    if importlib.util.find_spec("sentence_transformers"):
        others = sentence_transformers(folder, texts)
        ways.append(Way("sentence-transformers, float32, batch 32", others))
    for _ in range(rounds):
        for way in ways:
            way.take_turn()

    n_tokens = sum(lengths)
    padded = sum(
        lengths[batch[0]] * len(batch) for batch in pack_by_length(lengths, TOKEN_BUDGET["cpu"])
    )
    print(f"{title}; {len(texts)} texts, {n_tokens} tokens after cutting at {MAX_TOKENS}")
    print(f"{sum(r.truncated for r in results)} texts cut; padding {padded / n_tokens - 1:.1%}")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores, "
        f"{platform.machine()}; best of {rounds} rounds"
    )
    print(f"{'':44}{'seconds':>9}{'texts/s':>9}{'tokens/s':>10}{'× reference':>13}")
    for way in ways:
        rate = f"{len(texts) / way.seconds:9.2f}{n_tokens / way.seconds:10.0f}"
        print(f"{way.name:44}{way.seconds:9.2f}{rate}{plain.seconds / way.seconds:13.2f}")
    print(f"float32 reaches {floor32.seconds / exact.seconds:.1%} of the bare product's rate")
    print(f"bfloat16 reaches {floor16.seconds / rounded.seconds:.1%} of the bare product's rate")
    assert plain.vectors is not None
    for way in (exact, rounded, *ways[5:]):
        assert way.vectors is not None
        difference = np.linalg.norm(way.vectors - plain.vectors, axis=1)
        relative = difference / np.linalg.norm(plain.vectors, axis=1)
        lowest = cosines(way.vectors, plain.vectors).min()
        print(
            f"{way.name}: relative error to the reference {relative.mean():.1e} mean, "
            f"{relative.max():.1e} largest; lowest cosine {lowest:.6f}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process, all ways together: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
