"""Nearest neighbours: exact search beside a bare matrix product, indexes beside other libraries.

    python -m benchmarks.search --store materials-store
    python -m benchmarks.search --store materials-store --size 1000000 --engine exact

Rows are the store's own structure vectors. Where a size is larger than they are many, further rows
are random ones of them plus normal noise whose length is about half the median distance between
nearest neighbours; how many is printed. Each engine runs in a process of its own, whose peak
memory above what it began with is shown; the rows are a memory-mapped file that all of them read.
Distances are cosines. Queries for recall are held out: means of two neighbouring rows.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import pyarrow as pa

K = 10
BUCKETS = 1000
SHARES = (0.1, 0.01, 0.001)
TARGET = 0.99
_ROUNDS = 3
_SINGLE = 50
_BARE_BYTES = 2**28
Result = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What an engine gets: a folder with arrays of rows, queries and truth, and a Lance table."""

    folder: Path

    def array(self, name: str) -> Any:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    @property
    def table(self) -> str:
        return str(self.folder / "rows.lance")


def made_rows(real: Any, n: int, seed: int, path: Path) -> int:
    """Write n rows to a file, real ones first, then jittered ones; how many are real."""
    from featurestore.search.exact import ExactSearch

    rng = np.random.default_rng(seed)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, real.shape[1]))
    chosen = rng.permutation(len(real))[:n]
    rows[: len(chosen)] = real[chosen]
    if n > len(real):
        sample = np.sort(rng.choice(len(real), min(1000, len(real)), replace=False))
        near = ExactSearch(real).nearest(real[sample], 1, "l2", without=sample)
        scale = float(np.median(near.distances)) / 2 / real.shape[1] ** 0.5
        for first in range(len(real), n, 65536):
            count = min(65536, n - first)
            noise = rng.standard_normal((count, real.shape[1]), dtype=np.float32)
            rows[first : first + count] = real[rng.integers(0, len(real), count)] + scale * noise
    rows.flush()
    return len(chosen)


def prepare(folder: Path, real: Any, n: int, batch: int, seed: int) -> int:
    """Rows, queries and truth as files, and the same rows as a Lance table."""
    import lance

    from featurestore.search.exact import ExactSearch
    from featurestore.search.indexing import held_out_queries

    real_rows = made_rows(real, n, seed, folder / "rows.npy")
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    queries = held_out_queries(rows, seed)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", ExactSearch(rows).nearest(queries, K).rows)
    rng = np.random.default_rng(seed + 1)
    np.save(folder / "batch.npy", rows[np.sort(rng.choice(n, min(batch, n), replace=False))])
    bucket = rng.integers(0, BUCKETS, n)
    np.save(folder / "bucket.npy", bucket)

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, n, 65536):
            part = np.ascontiguousarray(rows[first : first + 65536])
            yield pa.record_batch(
                {
                    "structure_id": [f"row-{i:08}" for i in range(first, first + len(part))],
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(part.reshape(-1)), rows.shape[1]
                    ),
                    "bucket": bucket[first : first + len(part)],
                }
            )

    schema = pa.schema(
        [
            ("structure_id", pa.string()),
            ("vector", pa.list_(pa.float32(), rows.shape[1])),
            ("bucket", pa.int64()),
        ]
    )
    lance.write_dataset(batches(), folder / "rows.lance", schema=schema)
    return real_rows


def milliseconds(queries: Any, one: Callable[[Any], Any]) -> float:
    """Median time of a query, one at a time."""
    one(queries[0])
    times = []
    for query in queries[:_SINGLE]:
        began = time.perf_counter()
        one(query)
        times.append(time.perf_counter() - began)
    return 1000 * median(times)


def recall(found: list[Any], truth: Any) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)]))


def seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def exact(case: Case) -> Result:
    """The store's exact search of a batch, in turn with bare products of the same shape."""
    import torch

    from featurestore.search.exact import ExactSearch

    rows, batch, queries = np.array(case.array("rows")), case.array("batch"), case.array("queries")
    began = time.perf_counter()
    search = ExactSearch(rows)
    build = time.perf_counter() - began
    part = max(1, min(len(batch), _BARE_BYTES // 4 // len(rows)))
    out = np.empty((part, len(rows)), np.float32)
    turned, tensor = torch.from_numpy(rows), torch.from_numpy(out)

    def in_parts(multiply: Callable[[Any, int], Any]) -> None:
        for first in range(0, len(batch), part):
            chosen = np.array(batch[first : first + part])
            multiply(chosen, len(chosen))

    bare = {
        "numpy": lambda q, m: np.matmul(q, rows.T, out=out[:m]),
        "torch": lambda q, m: torch.matmul(torch.from_numpy(q), turned.T, out=tensor[:m]),
    }
    times: dict[str, list[float]] = {name: [] for name in (*bare, "search")}
    search.nearest(batch[:64], K)
    for _ in range(_ROUNDS):
        for name, multiply in bare.items():
            times[name].append(seconds(lambda m=multiply: in_parts(m)))  # type: ignore[misc]
        times["search"].append(seconds(lambda: search.nearest(batch, K)))
    best = {name: min(values) for name, values in times.items()}
    return {
        "build_s": build,
        "ms": milliseconds(queries, lambda q: search.nearest(q, K)),
        "recall": recall(list(search.nearest(queries, K).rows), case.array("truth")),
        "batch_per_s": len(batch) / best["search"],
        "note": f"batch of {len(batch)}: {best['search']:.2f} s; bare product numpy "
        f"{best['numpy']:.2f} s, torch {best['torch']:.2f} s: "
        f"{min(best['numpy'], best['torch']) / best['search']:.0%} of the faster",
    }


def space_of(case: Case) -> Any:
    import lance

    from featurestore.catalogue import Encoder
    from featurestore.search.spaces import Space

    width = case.array("rows").shape[1]
    encoder = Encoder("benchmark_0", "benchmark", "structure", width, (("all", 0, width),), {})
    return Space(encoder, lance.dataset(case.table))


def own_index(kind: str) -> Callable[[Case], Result]:
    def engine(case: Case) -> Result:
        from featurestore.search.indexing import NoGainError, build_index

        lines: list[str] = []
        try:
            built = build_index(
                space_of(case), kind=kind, target=TARGET, keep_slower=True, report=lines.append
            )
        except NoGainError as error:
            return {"note": str(error)}
        space, queries = space_of(case), case.array("queries")
        found = [space.nearest(query, K).rows[0] for query in queries]
        settings = ", ".join(f"{name} {value}" for name, value in built.settings.items())
        return {
            "build_s": built.build_seconds,
            "ms": milliseconds(queries, lambda q: space.nearest(q, K)),
            "recall": recall(found, case.array("truth")),
            "note": f"{settings}, chosen for recall {TARGET}",
        }

    return engine


def lance_table(case: Case) -> Any:
    import lancedb

    return lancedb.connect(str(case.folder)).open_table("rows")


def lance_rows(hits: list[dict[str, Any]]) -> list[int]:
    return [int(hit["structure_id"][4:]) for hit in hits]


def asked_lancedb(table: Any, query: Any, where: str | None = None) -> list[int]:
    search = table.search(query).distance_type("cosine").select(["structure_id", "_distance"])
    if where is not None:
        search = search.where(where, prefilter=True)
    return lance_rows(search.limit(K).to_list())


def lancedb_flat(case: Case) -> Result:
    table, queries = lance_table(case), np.array(case.array("queries"))
    found = [asked_lancedb(table, query) for query in queries[:20]]
    return {
        "ms": milliseconds(queries[:20], lambda q: asked_lancedb(table, q)),
        "recall": recall(found, case.array("truth")[:20]),
        "note": "no index",
    }


def lancedb_default(case: Case) -> Result:
    table, queries = lance_table(case), np.array(case.array("queries"))
    build = seconds(lambda: table.create_index(metric="cosine", replace=True))
    result = {
        "build_s": build,
        "ms": milliseconds(queries, lambda q: asked_lancedb(table, q)),
        "recall": recall([asked_lancedb(table, q) for q in queries], case.array("truth")),
        "note": "IVF_PQ with its defaults",
    }
    result["filters"] = {
        share: lancedb_filter(table, case, queries[:20], share) for share in SHARES
    }
    table.drop_index("vector_idx")
    return result


def lancedb_filter(table: Any, case: Case, queries: Any, share: float) -> Result:
    where = f"bucket < {round(share * BUCKETS)}"
    found = [asked_lancedb(table, query, where) for query in queries]
    return filtered(case, queries, share, found) | {
        "ms": milliseconds(queries, lambda q: asked_lancedb(table, q, where))
    }


def filtered(case: Case, queries: Any, share: float, found: list[Any]) -> Result:
    """Recall under a filter, and the fewest hits of a query."""
    from featurestore.search.exact import ExactSearch

    kept = np.flatnonzero(case.array("bucket") < round(share * BUCKETS))
    few = ExactSearch(np.array(case.array("rows")[kept])).nearest(np.array(queries), K)
    truth = [list(kept[row[row >= 0]]) for row in few.rows]
    shares = [len(set(a) & set(b)) / max(len(b), 1) for a, b in zip(found, truth, strict=True)]
    lacking = sum(len(a) < len(b) for a, b in zip(found, truth, strict=True))
    return {"recall": float(np.mean(shares)), "queries_with_too_few": lacking}


def own_filters(case: Case) -> Result:
    """Filters on the store's search: in memory, and with an index where one is to be kept."""
    from featurestore.search.indexing import NoGainError, build_index

    queries = np.array(case.array("queries"))[:20]
    result: Result = {"filters": {}, "note": "exact search in memory"}
    space = space_of(case)
    bucket = case.array("bucket")
    assert space.exact
    for how in ("memory", "index"):
        if how == "index":
            try:
                build_index(space_of(case), target=TARGET)
            except NoGainError as error:
                result["note"] += f"; {error}"
                break
            space = space_of(case)
        for share in SHARES:
            among = np.flatnonzero(bucket < round(share * BUCKETS))
            exact = how == "memory"

            def ask(query: Any, s: Any = space, a: Any = among, exact: bool = exact) -> Any:
                return s.nearest(query, K, among=a, exact=exact)

            found = [ask(q).rows[0] for q in queries]
            result["filters"][f"{share} {how}"] = filtered(case, queries, share, found) | {
                "ms": milliseconds(queries, ask)
            }
    return result


def unit(rows: Any) -> Any:
    copied = np.array(rows)
    for first in range(0, len(copied), 65536):
        part = copied[first : first + 65536]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return copied


def swept(
    case: Case, build: float, settings: Any, ask: Callable[[Any, int], Any], many: Any = None
) -> Result:
    """The quickest setting that reaches the recall wanted, else the last."""
    queries, truth = unit(case.array("queries")), case.array("truth")
    for setting in settings:
        found = recall([ask(query, setting) for query in queries], truth)
        if found >= TARGET:
            break
    result = {
        "build_s": build,
        "ms": milliseconds(queries, lambda q: ask(q, setting)),
        "recall": found,
        "note": f"setting {setting}",
    }
    if many is not None:
        batch = unit(case.array("batch"))
        result["batch_per_s"] = len(batch) / seconds(lambda: many(batch, setting))
    return result


def faiss_flat(case: Case) -> Result:
    import faiss

    rows = unit(case.array("rows"))
    index = faiss.IndexFlatIP(rows.shape[1])
    build = seconds(lambda: index.add(rows))
    return swept(
        case, build, ["exact"], lambda q, _: index.search(q[None], K)[1][0],
        lambda batch, _: index.search(batch, K),
    )  # fmt: skip


def faiss_ivf(case: Case) -> Result:
    import faiss

    rows = unit(case.array("rows"))
    lists = round(len(rows) ** 0.5)
    quantizer = faiss.IndexFlatIP(rows.shape[1])
    index = faiss.IndexIVFFlat(quantizer, rows.shape[1], lists, faiss.METRIC_INNER_PRODUCT)

    def build() -> None:
        index.train(rows[:: max(1, len(rows) // (64 * lists))])
        index.add(rows)

    def ask(queries: Any, nprobe: int) -> Any:
        index.nprobe = nprobe
        return index.search(queries, K)[1]

    probes = [2**power for power in range(1, 12) if 2**power < lists]
    return swept(case, seconds(build), probes, lambda q, n: ask(q[None], n)[0], ask)


def faiss_hnsw(case: Case) -> Result:
    import faiss

    rows = unit(case.array("rows"))
    index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    build = seconds(lambda: index.add(rows))

    def ask(queries: Any, ef: int) -> Any:
        index.hnsw.efSearch = ef
        return index.search(queries, K)[1]

    return swept(case, build, (16, 32, 64, 128, 256, 512), lambda q, n: ask(q[None], n)[0], ask)


def hnswlib_cosine(case: Case) -> Result:
    import hnswlib

    rows = case.array("rows")
    index = hnswlib.Index("cosine", rows.shape[1])
    index.init_index(len(rows), M=16, ef_construction=200)
    build = seconds(
        lambda: [index.add_items(rows[i : i + 65536]) for i in range(0, len(rows), 65536)]
    )

    def ask(queries: Any, ef: int) -> Any:
        index.set_ef(ef)
        return index.knn_query(queries, K)[0]

    return swept(case, build, (16, 32, 64, 128, 256, 512), lambda q, n: ask(q, n)[0], ask)


ENGINES: dict[str, Callable[[Case], Result]] = {
    "exact": exact,
    "lancedb-flat": lancedb_flat,
    "index-ivf-flat": own_index("IVF_FLAT"),
    "filters": own_filters,
    "lancedb-default": lancedb_default,
    "faiss-flat": faiss_flat,
    "faiss-ivf": faiss_ivf,
    "faiss-hnsw": faiss_hnsw,
    "hnswlib": hnswlib_cosine,
    "index-ivf-hnsw-sq": own_index("IVF_HNSW_SQ"),
    "index-ivf-pq": own_index("IVF_PQ"),
}


def _peak_megabytes() -> float:
    """Most memory this process has held; Linux's resource usage would count its parent's, too."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _in_process(name: str, folder: Path, answer: Any) -> None:
    before = _peak_megabytes()
    result = ENGINES[name](Case(folder))
    result["mb"] = _peak_megabytes() - before
    answer.send(result)


def run_engine(name: str, folder: Path, minutes: float) -> Result:
    """An engine's result; a note where it took longer, or its library is missing."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(name, folder, theirs))
    process.start()
    theirs.close()
    result: Result = {"note": f"not finished within {minutes:g} minutes"}
    try:
        if ours.poll(minutes * 60):
            result = ours.recv()
    except EOFError:
        result = {"note": "failed; see above"}
    finally:
        process.terminate()
        process.join()
    return result


def show(name: str, result: Result) -> None:
    def number(key: str, form: str) -> str:
        return format(result[key], form) if key in result else "-"

    columns = [
        f"{name:18}",
        f"{number('recall', '.4f'):>7}",
        f"{number('ms', '.2f'):>9}",
        f"{number('batch_per_s', ',.0f'):>9}",
        f"{number('build_s', '.1f'):>8}",
        f"{number('mb', ',.0f'):>7}",
        result.get("note", ""),
    ]
    print("  ".join(columns), flush=True)
    for share, found in result.get("filters", {}).items():
        print(
            f"    keeps {share}: recall {found['recall']:.4f}, {found['ms']:.2f} ms, "
            f"{found['queries_with_too_few']} of 20 queries got fewer than exist",
            flush=True,
        )


@click.command()
@click.option("--store", "store_uri", required=True, help="A store with structure vectors.")
@click.option("--encoder", help="Whose vectors. Default: the only structure encoder.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(1000),
    help="Rows. Default: all real ones.",
)
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)), help="Default: all."
)
@click.option("--skip", multiple=True, type=click.Choice(list(ENGINES)), help="Not this one.")
@click.option("--batch", default=4096, show_default=True, help="Queries at once.")
@click.option("--minutes", default=10.0, show_default=True, help="Most that an engine may take.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the rows are written, twice. Default: the temporary folder.",
)
@click.option("--seed", default=0, show_default=True)
def main(
    store_uri: str,
    encoder: str | None,
    sizes: tuple[int, ...],
    engines: tuple[str, ...],
    skip: tuple[str, ...],
    batch: int,
    minutes: float,
    folder: Path | None,
    seed: int,
) -> None:
    """Print recall@10, latency, throughput, build time and memory of each engine."""
    from featurestore.store import FeatureStore

    space = FeatureStore.open(store_uri).search.space(encoder)
    real = space.exact.vectors
    chosen = [name for name in engines or ENGINES if name not in skip]
    for n in sizes or (len(real),):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            began = time.perf_counter()
            kept = prepare(Path(scratch), real, n, batch, seed)
            print(
                f"\n{n:,} rows of {real.shape[1]} float32 ({kept:,} of {space.encoder.encoder_id}, "
                f"{n - kept:,} jittered), k = {K}; made in {time.perf_counter() - began:.0f} s"
            )
            print(
                f"{'engine':18}  {'recall':>7}  {'ms/query':>9}  {'batch q/s':>9}  "
                f"{'build s':>8}  {'MB':>7}"
            )
            results = {}
            for name in chosen:
                results[name] = run_engine(name, Path(scratch), minutes)
                show(name, results[name])
            left = [name for name in ENGINES if name not in chosen]
            if left:
                print(f"not run: {', '.join(left)}")
            print(json.dumps({"rows": n, "results": results}, default=float))


if __name__ == "__main__":
    main()
