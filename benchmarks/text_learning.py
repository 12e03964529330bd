"""The whole table of text that has learned crystals, as commands that go on where they stopped.

    python -m benchmarks.text_learning --store materials-store --work text-models --preset night

It fine-tunes MiniLM on a source property, trains a language model of the descriptions and
fine-tunes that, once on the property and once also on what a structure model makes of the same
crystals, learns joint spaces, encodes the texts of the targets' materials with each, and
compares: text alone, structure with each text, by concatenation and by attention; beside the
controls, which are a regular expression, the formula alone, another material's text, and structure
vectors taught what the text was taught. Every step is a command of the package that finds what is
done already, so that the script may be killed and started again; --plan prints the commands and
does nothing. Texts must have been made before: `featurestore ingest text`.
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

SOURCES = ("chemnlp", "robocrystallographer")
TAUGHT = ("language", "reader", "language-reader", "student")
CONTROLS = ("prose-numbers", "shuffled")


@dataclass(frozen=True)
class Preset:
    """How much is computed.

    Parameters
    ----------
    limit : int
        Source structures; 0: all.
    fine_tuning, language : str
        Options of `train text-source` and `train language-model`.
    encoding : str
        Options of `ingest embeddings` with text models.
    max_tokens, seeds, jobs : int
        Tokens a text; seeds of each predictor; models trained at once.
    """

    limit: int
    fine_tuning: str
    language: str
    encoding: str
    max_tokens: int
    seeds: int
    jobs: int


PRESETS = {
    # Some minutes of one core beside the encoding: whether everything runs.
    "minutes": Preset(
        200,
        "--learn upper --upper-layers 1 --passes 1 --texts-a-round 100",
        "--passes 1 --texts-a-round 100 --vocabulary 200",
        "",
        64,
        1,
        1,
    ),
    # One night of two cores: about 4 to 9 texts a second of MiniLM.
    "night": Preset(
        5_000,
        "--learn all --passes 3 --learning-rate 5e-5",
        "--passes 2 --vocabulary 2000 --learning-rate 2e-4",
        "",
        256,
        3,
        2,
    ),
    # A GPU lent for minutes: everything that has a text.
    "gpu": Preset(
        0,
        "--learn all --passes 6 --learning-rate 5e-5 --batch-size 64 --device cuda "
        "--precision bfloat16",
        "--passes 6 --vocabulary 4000 --learning-rate 3e-4 --batch-size 64 --device cuda "
        "--precision bfloat16",
        "--device cuda",
        512,
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
    source_property : str
        What the text source models learn.
    properties : tuple of str
        Targets.
    split : str
        Whose validation and test materials nothing may learn from.
    structure_encoder, base : str
        The other side, and the text model that all starts from.
    """

    store: str
    work: Path
    preset: Preset
    source_property: str
    properties: tuple[str, ...]
    split: str
    structure_encoder: str
    base: str

    def schooling(self) -> Iterator[list[str]]:
        """Training the text models and joint spaces."""
        texts = [word for source in SOURCES for word in ("--text", source)]
        held = ["--hold-out", self.split, "--max-tokens", str(self.preset.max_tokens)]
        limit = ["--limit", str(self.preset.limit)] if self.preset.limit else []
        learned = ["--property", self.source_property, *shlex.split(self.preset.fine_tuning)]
        if not self._done("language"):
            yield self._command(
                "train language-model",
                *("--weights", self.base, *texts, *held, *limit),
                *(*shlex.split(self.preset.language), "-o", self._folder("language")),
            )
        distilled = ["--structure-encoder", self.structure_encoder, "--components", "32"]
        described = "structure_id IN (SELECT structure_id FROM sentences)"
        yield self._command(
            "ingest embeddings", "--encoder", self.structure_encoder, "--where", described
        )
        for name, start, also in (
            ("reader", self.base, []),
            ("language-reader", self._folder("language"), []),
            ("student", self._folder("language"), distilled),
        ):
            if not self._done(name):
                yield self._command(
                    "train text-source",
                    *("--weights", start, *texts, *held, *limit, *learned, *also),
                    *("-o", self._folder(name)),
                )

    def encoding(self) -> Iterator[list[str]]:
        """Vectors of the targets' materials."""
        encoding = ["--max-tokens", str(self.preset.max_tokens), *shlex.split(self.preset.encoding)]
        for property in self.properties:
            chosen = ["--property", property, "--split", self.split]
            yield self._command("ingest text", "--text", "composition", *chosen)
            yield self._command("ingest embeddings", "--encoder", self.structure_encoder, *chosen)
            for source in (*SOURCES, "composition"):
                text = ["--text", source, *chosen]
                yield self._command("ingest embeddings", "--encoder", self.base, *text)
                yield self._command("ingest embeddings", "--encoder", "prose-numbers", *text)
                for name in TAUGHT:
                    yield self._command(
                        "ingest embeddings", "--encoder", self._folder(name), *text, *encoding
                    )

    def joint_spaces(self) -> Iterator[list[str]]:
        """A joint space for each source, with the base's vectors and with the reader's."""
        for source in SOURCES:
            for encoder in (self.base, "reader"):
                name = f"joint-{source}-{encoder}"
                if self._done(f"{name}-text"):
                    continue
                yield self._command(
                    "train align",
                    *("--structure-encoder", self.structure_encoder, "--text", source),
                    *("--text-encoder", encoder, "--hold-out", self.split),
                    *("-o", self._folder(name)),
                )

    def comparing(self) -> Iterator[list[str]]:
        """Feature sets and the table."""
        encoders = (self.base, *TAUGHT, *CONTROLS)
        alone = {f"{e}-{s}": [f"{e}:{s}"] for s in SOURCES for e in encoders}
        alone |= {f"{e}-formula": [f"{e}:composition"] for e in (self.base, "prose-numbers")}
        structure = {"structure": [self.structure_encoder]}
        both = {f"structure+{name}": [self.structure_encoder, *of] for name, of in alone.items()}
        both["structure+schooled"] = [self.structure_encoder, "schooled"]
        for name, features in (alone | structure | both).items():
            yield self._command("features define", name, *features)
        seeds = ["--split", self.split, "--seeds", str(self.preset.seeds)]
        seeds += ["--jobs", str(self.preset.jobs)]
        properties = [word for one in self.properties for word in ("--property", one)]
        control = [f"prose-numbers-{source}" for source in SOURCES]
        attended = [
            "structure",
            *(f"structure+{e}-{s}" for s in SOURCES for e in (self.base, "student")),
        ]
        for sets, predictor, reference in (
            (list(alone), "ensemble", f"{self.base}-{SOURCES[0]}"),
            (control, "gbt", control[0]),
            ([*structure, *both], "ensemble", "structure"),
            (attended, "attention", "structure"),
        ):
            named = [word for name in sets for word in ("--feature-set", name)]
            yield self._command(
                "train benchmark",
                *(*properties, *seeds, *named, "--predictor", predictor, "--reference", reference),
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
@click.option("--source-property", default="formation_energy_per_atom", show_default=True)
@click.option(
    "--property",
    "properties",
    multiple=True,
    default=("Tc_supercon", "slme", "mbj_bandgap"),
    show_default=True,
)
@click.option("--split", default="paper", show_default=True)
@click.option("--structure-encoder", default="alignn-ff", show_default=True)
@click.option("--base", default="minilm", show_default=True, help="The model it starts from.")
@click.option("--plan", "only_print", is_flag=True, help="Print the commands and do nothing.")
def main(
    store: str,
    work: Path,
    preset: str,
    source_property: str,
    properties: tuple[str, ...],
    split: str,
    structure_encoder: str,
    base: str,
    only_print: bool,
) -> None:
    """Run the whole comparison; start it again after an interruption."""
    plan = Plan(
        store,
        work,
        PRESETS[preset],
        source_property,
        properties,
        split,
        structure_encoder,
        base,
    )
    run(list(plan.schooling()), only_print)
    run(list(plan.encoding()), only_print)
    if not only_print:
        opened = FeatureStore.open(store)
        shuffled(opened, "student")
        schooled(opened, structure_encoder, [source_property], SOURCES[0], hold_out=[split])
    run(list(plan.joint_spaces()), only_print)
    run(list(plan.comparing()), only_print)


if __name__ == "__main__":
    main()
