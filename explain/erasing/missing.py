"""What an explanation lacks: the errors that say so, and the commands that make it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from explain.erasing.predictions import Explained
from featurestore.catalogue import Encoder, find_encoder, find_generator
from featurestore.commands import encoding_command, with_variants
from featurestore.errors import MissingDataError
from featurestore.session import Session
from featurestore.tables.schemas import embedding_table
from featurestore.texts.shorthands import shortened
from train.models import StoredModel


class MissingVariantsError(MissingDataError):
    """Vectors of text variants are missing; ``commands`` are what makes them, each as words."""

    def __init__(self, message: str, commands: Iterable[Sequence[str]]) -> None:
        super().__init__(message)
        self.commands = tuple(tuple(command) for command in commands)


def check_vectors(
    session: Session, groups: Sequence[tuple[Explained, Mapping[str, str]]], uri: str
) -> None:
    """Raise one error for all groups, with every command that has to be run.

    Parameters
    ----------
    session : Session
        Where the vectors are.
    groups : sequence of (Explained, mapping of str to str)
        With what stands for each variant in a command, a shorthand or the variant itself.
    uri : str
        Of the store.

    Raises
    ------
    MissingVariantsError
        If a text has no vector.
    MissingDataError
        If a structure has none.
    UnknownNameError
        If an encoder is gone.
    """
    problems, commands = [], []
    for group, shorthands in groups:
        p = group.models[0].parameters
        if p.structure_encoder is not None:
            structure = find_encoder(session, p.structure_encoder, "structure")
            _check_structures(session, group, structure)
        assert p.generator_id is not None and p.text_encoder is not None
        encoder = find_encoder(session, p.text_encoder, "text")
        present = _present(session, encoder)
        lacking = {
            variant: count
            for variant, texts in group.text_ids.items()
            if (count := sum(text not in present for text in texts))
        }
        if lacking:
            source = find_generator(session, p.generator_id).source
            asked = dict.fromkeys(shorthands.get(variant, variant) for variant in lacking)
            command = _embeddings_command(group.models[0], encoder, source, asked, group.fold, uri)
            distinct = {text for texts in group.text_ids.values() for text in texts}
            some = [f"{count} for {variant!r}" for variant, count in list(lacking.items())[:4]]
            more = f", … of {len(lacking)} variants" if len(lacking) > 4 else ""
            problems.append(
                f"{encoder.encoder_id} vectors of {len(distinct - present)} {source} texts are "
                f"missing ({', '.join(some)}{more}; of {len(group.material_ids)} materials). "
                f"Run:\n  {shlex.join(command)}"
            )
            commands.append(command)
    if problems:
        raise MissingVariantsError("\n".join(dict.fromkeys(problems)), dict.fromkeys(commands))


def _embeddings_command(
    model: StoredModel,
    encoder: Encoder,
    source: str,
    variants: Iterable[str],
    fold: str | None,
    uri: str,
) -> tuple[str, ...]:
    """The command that makes the vectors of these variants for a fold, and no others."""
    p = model.parameters
    words = with_variants(encoding_command(encoder, source), variants)
    words += ["--property", p.property, "--split", str(p.split)]
    if fold is not None:
        words += ["--fold", fold]
    return (*words, "--store", uri)


def _check_structures(session: Session, group: Explained, encoder: Encoder) -> None:
    lacking = session.query(
        "SELECT material_id FROM materials WHERE list_contains(?, material_id) AND structure_id "
        f"NOT IN (SELECT structure_id FROM structure_embeddings__{encoder.encoder_id})",
        [list(group.material_ids)],
    )["material_id"].to_pylist()
    if lacking:
        raise MissingDataError(
            f"{encoder.encoder_id} vectors of {len(lacking)} structures are missing, for example "
            f"of {min(lacking)}; make them with: featurestore ingest embeddings --encoder "
            f"{encoder.name}"
        )


def _present(session: Session, encoder: Encoder) -> set[str]:
    dataset = session.dataset(embedding_table("text", encoder.encoder_id))
    if dataset is None:
        return set()
    return set(dataset.to_table(columns=["text_id"])["text_id"].to_pylist())


# More are put into a file: a command line has an end.
_NAMED = 8


class MissingTextsError(MissingDataError):
    """Texts of one material have no vector yet.

    Parameters
    ----------
    material_id : str
        The material.
    missing : sequence of str
        Variants whose texts lack a vector.
    total : int
        Variants that were asked for.
    command : sequence of str
        The command that makes vectors of the material's texts, without the variants.
    """

    def __init__(
        self, material_id: str, missing: Sequence[str], total: int, command: Sequence[str]
    ) -> None:
        self.material_id = material_id
        self.variants = tuple(shortened(missing))
        self._count = f"{len(missing)} of {total} texts of material {material_id!r}"
        self._command = tuple(command)
        super().__init__(self.text(None))

    @property
    def many(self) -> bool:
        """Whether they are too many for a command line, so that a file has to hold them."""
        return len(self.variants) > _NAMED

    def command(self, variants_file: str | None) -> list[str]:
        """The command that makes the vectors; the variants are in the file, or each is named."""
        if variants_file is not None:
            return [*self._command, "--variants-file", variants_file]
        return with_variants(self._command, self.variants)

    def text(self, variants_file: str | None) -> str:
        """What is missing, and the command that makes it."""
        return f"{self._count} have no vector. Run:\n  {shlex.join(self.command(variants_file))}"
