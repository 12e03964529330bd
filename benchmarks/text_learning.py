"""The whole table of text that has learned crystals, as commands that go on where they stopped.

    python -m benchmarks.text_learning --store materials-store --work text-models --preset night

It trains a language model of the descriptions, teaches it a source property, and once also what a
structure model makes of the same crystals, fine-tunes the base model on the property where the
preset has time for it, learns joint spaces, encodes the texts of the targets' materials with each,
and compares: text alone, and structure with each text; beside the controls, which are a regular
expression, the formula alone, another material's text, and structure vectors taught what the text
was taught. Every step is a command of the package that finds what is done already, so that the
script may be killed and started again; --plan prints the commands and does nothing. Texts must have
been made before: `featurestore ingest text`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.schooled_structures import schooled
from benchmarks.shuffled_texts import shuffled
from featurestore.cli.options import CONTEXT
from featurestore.store import FeatureStore

_SOURCE = (
    "formation_energy_per_atom",
    "formation_energy_peratom",
    "ehull",
    "magmom_oszicar",
    "mbj_bandgap",
)
_SEVEN = (
    "Tc_supercon",
    "slme",
    "mbj_bandgap",
    "spillage",
    "magmom_oszicar",
    "ehull",
    "formation_energy_peratom",
)


@dataclass(frozen=True)
class Preset:
    """How much is computed.

    Parameters
    ----------
    language : str
        Options of `train language-model`.
    reading, learning : str
        Options of `train text-source` for what starts from that language model, on the source
        properties, and on these and on structure vectors.
    fine_tuning : str
        The same for the base model; empty: it is not fine-tuned.
    max_tokens : int
        Tokens of a text, for all but the base model as it is.
    encoding, base_encoding : str
        Options of `ingest embeddings` with the models that are trained, and with the base.
    predictor : str
        Options of `train benchmark`.
    seeds, jobs : int
        Seeds of each predictor; models trained at once.
    """

    language: str
    reading: str
    learning: str
    fine_tuning: str
    max_tokens: int
    encoding: str
    base_encoding: str
    predictor: str
    seeds: int
    jobs: int


_COMPACT = "--compact --decimals 1 --layers 2 --hidden 192 --heads 6 --dropout 0 --batch-size 32"
_STEPS = "--decimals 1 --batch-size 32 --learning-rate 7e-4 --texts-a-round 8000"
_SMALL = "--set ensemble.members=1 --set ensemble.epochs=10 --set ensemble.rows_to_tune=400"

PRESETS = {
    # Some minutes of one core beside the encoding: whether everything runs.
    "minutes": Preset(
        "--limit 200 --passes 1 --texts-a-round 100 --vocabulary 200",
        *("--limit 200 --learn upper --upper-layers 1 --passes 1 --texts-a-round 100",) * 3,
        64,
        "",
        "",
        _SMALL,
        1,
        1,
    ),
    # What docs/results_text.md has, in a part of one night of two cores.
    "night": Preset(
        f"{_COMPACT} --limit 20000 --vocabulary 2500 --passes 1 --texts-a-round 4000 "
        "--learning-rate 1e-3",
        f"{_STEPS} --passes 2 --limit 20000",
        f"{_STEPS} --passes 4",
        "",
        192,
        "",
        "--precision bfloat16",
        _SMALL,
        3,
        2,
    ),
    # A GPU lent for minutes: larger models of everything that has a text.
    "gpu": Preset(
        "--passes 6 --vocabulary 4000 --learning-rate 3e-4 --batch-size 64 --device cuda "
        "--precision bfloat16",
        *(
            "--learn all --passes 6 --learning-rate 5e-5 --batch-size 64 --device cuda "
            "--precision bfloat16",
        )
        * 3,
        512,
        "--device cuda",
        "--device cuda",
        "",
        5,
        8,
    ),
}


@dataclass(frozen=True)
class Plan:
    """What is to be compared.

    Parameters
    ----------
    store : str
    work : Path
        Folder of the models.
    preset : Preset
    sources : tuple of str
        Texts.
    source_properties : tuple of str
        What the text source models learn.
    properties : tuple of str
        Targets.
    split, hold_out : str
        The folds of the targets, and the split whose validation and test materials nothing may
        learn from.
    structure_encoder, base : str
        The other side, and the text model as it can be pulled.
    """

    store: str
    work: Path
    preset: Preset
    sources: tuple[str, ...]
    source_properties: tuple[str, ...]
    properties: tuple[str, ...]
    split: str
    hold_out: str
    structure_encoder: str
    base: str

    @property
    def taught(self) -> list[str]:
        """The text models that are trained, in this order."""
        tuned = ["reader"] if self.preset.fine_tuning else []
        return ["language", "language-reader", *tuned, "student"]

    def schooling(self) -> Iterator[list[str]]:
        """Training the text models."""
        texts = [word for source in self.sources for word in ("--text", source)]
        held = ["--hold-out", self.hold_out, "--max-tokens", str(self.preset.max_tokens)]
        learned = [word for one in self.source_properties for word in ("--property", one)]
        if not self._done("language"):
            yield self._command(
                "train language-model",
                *(*texts, *held, *shlex.split(self.preset.language)),
                *("-o", self._folder("language")),
            )
        distilled = ["--structure-encoder", self.structure_encoder, "--components", "32"]
        described = "structure_id IN (SELECT structure_id FROM sentences) AND n_atoms <= 48"
        yield self._command(
            "ingest embeddings", "--encoder", self.structure_encoder, "--where", described
        )
        language = self._folder("language")
        for name, start, how, also in (
            ("language-reader", language, self.preset.reading, []),
            ("reader", self.base, self.preset.fine_tuning, []),
            ("student", language, self.preset.learning, distilled),
        ):
            if name in self.taught and not self._done(name):
                yield self._command(
                    "train text-source",
                    *("--weights", start, *texts, *held, *learned, *shlex.split(how), *also),
                    *("-o", self._folder(name)),
                )

    def encoding(self) -> Iterator[list[str]]:
        """Vectors of the targets' materials."""
        encoding = ["--max-tokens", str(self.preset.max_tokens), *shlex.split(self.preset.encoding)]
        for property in self.properties:
            chosen = ["--property", property, "--split", self.split]
            yield self._command("ingest text", "--text", "composition", *chosen)
            yield self._command("ingest embeddings", "--encoder", self.structure_encoder, *chosen)
            formula = ["--text", "composition", *chosen]
            yield self._command("ingest embeddings", "--encoder", "prose-numbers", *formula)
            for source in self.sources:
                text = ["--text", source, *chosen]
                yield self._command(
                    "ingest embeddings",
                    *("--encoder", self.base, *text, *shlex.split(self.preset.base_encoding)),
                )
                yield self._command("ingest embeddings", "--encoder", "prose-numbers", *text)
                for name in self.taught:
                    yield self._command(
                        "ingest embeddings", "--encoder", self._folder(name), *text, *encoding
                    )

    def joint_spaces(self) -> Iterator[list[str]]:
        """A joint space for each source, with the base's vectors and with the student's."""
        for source in self.sources:
            for encoder in (self.base, "student"):
                name = f"joint-{source}-{encoder}"
                if self._done(f"{name}-text"):
                    continue
                yield self._command(
                    "train align",
                    *("--structure-encoder", self.structure_encoder, "--text", source),
                    *("--text-encoder", encoder, "--hold-out", self.hold_out),
                    *("-o", self._folder(name)),
                )

    def comparing(self) -> Iterator[list[str]]:
        """Feature sets and the two tables."""
        alone = {"formula": ["prose-numbers:composition"]}
        for source in self.sources:
            numbers = f"prose-numbers:{source}"
            alone |= {f"{e}-{source}": [f"{e}:{source}"] for e in (self.base, *self.taught)}
            alone |= {f"prose-{source}": [numbers], f"shuffled-{source}": [f"shuffled:{source}"]}
            alone[f"student+prose-{source}"] = [f"student:{source}", numbers]
        both = {
            f"structure+{name}": [self.structure_encoder, *features]
            for name, features in alone.items()
            if not name.startswith(("language", "reader"))
        }
        both["structure+schooled"] = [self.structure_encoder, "schooled"]
        structure = {"structure": [self.structure_encoder]}
        for name, features in (alone | structure | both).items():
            yield self._command("features define", name, *features)
        how = ["--split", self.split, "--seeds", str(self.preset.seeds)]
        how += ["--jobs", str(self.preset.jobs), "--predictor", "ensemble"]
        how += shlex.split(self.preset.predictor)
        properties = [word for one in self.properties for word in ("--property", one)]
        for sets, reference in (
            (list(alone), f"{self.base}-{self.sources[0]}"),
            ([*structure, *both], "structure"),
        ):
            named = [word for name in sets for word in ("--feature-set", name)]
            yield self._command(
                "train benchmark", *(*properties, *how, *named, "--reference", reference)
            )

    def _folder(self, name: str) -> str:
        return str(self.work / name)

    def _done(self, name: str) -> bool:
        return (self.work / name / "model.safetensors").is_file()

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [*name.split(), *arguments, "--store", self.store]


def run(commands: Sequence[list[str]], only_print: bool) -> None:
    """Print each command and, unless it is only printed, run it in this process."""
    from featurestore.cli.root import root

    for words in commands:
        click.echo("featurestore " + shlex.join(words))
        if not only_print:
            status = root.main(words, prog_name="featurestore", standalone_mode=False)
            if status:
                raise SystemExit(status)


@click.command(context_settings=CONTEXT)
@click.option("--store", default="materials-store", show_default=True, help="The store.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("text-models"),
    show_default=True,
    help="Folder of the models that are trained.",
)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="minutes", show_default=True)
@click.option("--text", "sources", multiple=True, default=("chemnlp",), show_default=True)
@click.option(
    "--source-property", "source_properties", multiple=True, default=_SOURCE, show_default=True
)
@click.option("--property", "properties", multiple=True, default=_SEVEN, show_default=True)
@click.option("--split", default="paper", show_default=True, help="The folds of the targets.")
@click.option(
    "--hold-out", default="paper", show_default=True, help="Whose materials nothing learns from."
)
@click.option("--structure-encoder", default="alignn-ff", show_default=True)
@click.option("--base", default="minilm", show_default=True, help="The model it starts from.")
@click.option("--plan", "only_print", is_flag=True, help="Print the commands and do nothing.")
def main(
    store: str,
    work: Path,
    preset: str,
    sources: tuple[str, ...],
    source_properties: tuple[str, ...],
    properties: tuple[str, ...],
    split: str,
    hold_out: str,
    structure_encoder: str,
    base: str,
    only_print: bool,
) -> None:
    """Run the whole comparison; start it again after an interruption."""
    plan = Plan(
        store,
        work,
        PRESETS[preset],
        sources,
        source_properties,
        properties,
        split,
        hold_out,
        structure_encoder,
        base,
    )
    run(list(plan.schooling()), only_print)
    run(list(plan.encoding()), only_print)
    if not only_print:
        opened = FeatureStore.open(store)
        shuffled(opened, "student")
        schooled(
            opened, structure_encoder, list(source_properties), sources[0], hold_out=[hold_out]
        )
    run(list(plan.joint_spaces()), only_print)
    run(list(plan.comparing()), only_print)


if __name__ == "__main__":
    main()
