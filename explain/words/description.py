"""One material's description, and the parts of it that can be erased: words, sentences, tags."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.catalogue import find_generator
from featurestore.commands import describing_command
from featurestore.errors import InvalidInputError, MissingContentError, UnknownNameError
from featurestore.session import Session
from featurestore.texts.variants import words_of

_RULES = {"deletion": "without", "mask": "mask"}


@dataclass(frozen=True)
class Sentence:
    """A sentence: its tag, its words, and the place of the first of them in the text, from 0."""

    tag: str
    words: tuple[str, ...]
    first_word: int

    @property
    def text(self) -> str:
        """The words with a blank between them."""
        return " ".join(self.words)

    @property
    def positions(self) -> tuple[int, ...]:
        """The places of its words in the text."""
        return tuple(range(self.first_word, self.first_word + len(self.words)))


@dataclass(frozen=True)
class Unit:
    """A part of a text that is erased at once.

    Parameters
    ----------
    kind : str
        "word", "number", "sentence" or "tag".
    part : str
        As in the name of a text variant: ``word:3``, ``sentence:0`` or a tag.
    text : str
        What it says.
    positions : tuple of int
        The places of its words in the text, from 0.
    """

    kind: str
    part: str
    text: str
    positions: tuple[int, ...]

    def variant(self, erasure: str) -> str:
        """The text variant without it, by "deletion" or by "mask"."""
        return f"{_RULES[erasure]}:{self.part}"


@dataclass(frozen=True)
class Description:
    """The sentences of one material by one generator, in order.

    Parameters
    ----------
    material_id, formula, structure_id : str
        The material.
    generator_id, source : str
        What described it.
    sentences : tuple of Sentence
        At least one.
    """

    material_id: str
    formula: str
    structure_id: str
    generator_id: str
    source: str
    sentences: tuple[Sentence, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All words: what stands between blanks."""
        return tuple(word for sentence in self.sentences for word in sentence.words)

    def units(self, kind: str) -> tuple[Unit, ...]:
        """The parts of a kind, in order; "number" are words with a digit and no letter.

        Raises
        ------
        InvalidInputError
            If there is none: a text of one sentence has no other to be compared with.
        """
        found = {
            "word": self._words,
            "number": self._numbers,
            "sentence": self._sentences,
            "tag": self._tags,
        }[kind]()
        if kind in ("sentence", "tag") and len(found) < 2:
            raise InvalidInputError(
                f"the {self.source} text of material {self.material_id!r} is one {kind}: without "
                "it nothing is left; erase its words, with --unit word"
            )
        if not found:
            raise InvalidInputError(
                f"the {self.source} text of material {self.material_id!r} has no {kind}"
            )
        return found

    def _words(self) -> tuple[Unit, ...]:
        return tuple(Unit("word", f"word:{i}", word, (i,)) for i, word in enumerate(self.words))

    def _numbers(self) -> tuple[Unit, ...]:
        return tuple(
            Unit("number", unit.part, unit.text, unit.positions)
            for unit in self._words()
            if is_number(unit.text)
        )

    def _sentences(self) -> tuple[Unit, ...]:
        return tuple(
            Unit("sentence", f"sentence:{i}", sentence.text, sentence.positions)
            for i, sentence in enumerate(self.sentences)
        )

    def _tags(self) -> tuple[Unit, ...]:
        tags = dict.fromkeys(sentence.tag for sentence in self.sentences)
        return tuple(
            Unit(
                "tag",
                tag,
                tag,
                tuple(p for one in self.sentences if one.tag == tag for p in one.positions),
            )
            for tag in tags
        )


def is_number(word: str) -> bool:
    """Whether a word has a digit and no letter: ``2.95,``, ``(0,`` or ``3.1–3.4``, not ``O2``.

    >>> [is_number(word) for word in ("2.95,", "(-1,", "12-coordinate", "Å.")]
    [True, True, False, False]
    """
    return any(c.isdigit() for c in word) and not any(c.isalpha() for c in word)


def describe(session: Session, material_id: str, generator_id: str) -> Description:
    """The description of a material by a generator.

    Raises
    ------
    UnknownNameError
        If the store has no such material or generator.
    MissingContentError
        If the material has no text; its command makes it.
    """
    generator = find_generator(session, generator_id)
    materials = session.query(
        "SELECT material_id, structure_id, formula FROM materials WHERE material_id = ?",
        [material_id],
    ).to_pylist()
    if not materials:
        known = session.query(
            "SELECT material_id FROM materials "
            "ORDER BY levenshtein(material_id, ?), material_id LIMIT 20",
            [material_id],
        )
        raise UnknownNameError("material", material_id, known["material_id"].to_pylist())
    rows = session.query(
        "SELECT tag, sentence FROM sentences WHERE generator_id = ? AND structure_id = ? "
        "ORDER BY position",
        [generator.generator_id, materials[0]["structure_id"]],
    ).to_pylist()
    if not rows:
        raise MissingContentError(
            f"material {material_id!r} has no text by {generator.generator_id}",
            [describing_command(session, generator, {"material": material_id})],
        )
    sentences, first = [], 0
    for row in rows:
        words = tuple(words_of(row["sentence"]))
        sentences.append(Sentence(row["tag"], words, first))
        first += len(words)
    return Description(
        material_id=material_id,
        formula=materials[0]["formula"],
        structure_id=materials[0]["structure_id"],
        generator_id=generator.generator_id,
        source=generator.source,
        sentences=tuple(sentences),
    )
