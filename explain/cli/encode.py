"""``--encode``: makes the vectors that an explanation lacks, by the command for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from explain.erasing.effects_table import StoredEffects
    from explain.erasing.missing import MissingTextsError
    from explain.tags.analysis import TagAnalysis
    from featurestore.store import FeatureStore
    from train.models import StoredModel


Result = TypeVar("Result")


def _with_vectors(encode: bool, measure: Callable[[], Result]) -> Result:
    """Measure; where vectors are missing, make them or say how."""
    from explain.erasing.missing import MissingTextsError
    from featurestore.cli import root
    from featurestore.errors import MissingDataError

    try:
        return measure()
    except MissingTextsError as missing:
        if not encode:
            path = _write_variants(missing) if missing.many else None
            raise MissingDataError(missing.text(path)) from None
        with TemporaryDirectory() as folder:
            file = None
            if missing.many:
                file = str(Path(folder) / "variants.txt")
                Path(file).write_text("\n".join(missing.variants) + "\n", "utf-8")
            # By its name, as a user would: this room does not import the one that encodes.
            status = root.main(missing.command(file)[1:], standalone_mode=False)
        if status:
            raise MissingDataError("the missing vectors could not be made; see above") from None
    return measure()


def _write_variants(missing: MissingTextsError) -> str:
    """Put the variants into a file in this folder, for the command that makes their vectors."""
    from featurestore.output.names import file_name
    from featurestore.output.rows import atomic_path

    path = Path(file_name("variants", missing.material_id, suffix=".txt"))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(missing.variants) + "\n", "utf-8")
    return str(path)


def _computed(
    store: FeatureStore, models: Sequence[StoredModel], analysis: TagAnalysis, encode: bool
) -> list[StoredEffects]:
    from explain.erasing.missing import MissingVariantsError
    from explain.tags.analysis import tag_effects
    from featurestore.cli import root

    try:
        return tag_effects(store, models, analysis)
    except MissingVariantsError as error:
        if not encode:
            raise
        commands = error.commands
    for command in commands:
        # Through the command line, as a user would: this room imports nothing that encodes.
        root.main(list(command[1:]), prog_name="featurestore", standalone_mode=False)
    return tag_effects(store, models, analysis)
