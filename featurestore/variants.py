"""Text variants: which sentences of a description are kept, written as one short string."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.errors import InvalidInputError, UnknownNameError

_FORM = re.compile(r"(?P<rule>without|only):(?P<tagger>reference:)?(?P<tags>.+)", re.DOTALL)


@dataclass(frozen=True)
class Variant:
    """A parsed variant; ``str(variant)`` is its canonical form, with the tags sorted.

    Parameters
    ----------
    rule : {"full", "without", "only"}
        Keep everything, all but the tags, or the tags alone.
    tags : tuple of str
        Tags of the rule.
    reference : bool
        Whether the tags are the overlapping ones of the reference implementation.
    """

    rule: str
    tags: tuple[str, ...] = ()
    reference: bool = False

    def __str__(self) -> str:
        if self.rule == "full":
            return "full"
        return f"{self.rule}:{'reference:' if self.reference else ''}{','.join(self.tags)}"


FULL = Variant("full")


def parse_variant(text: str, tags: Sequence[str], reference_tags: Sequence[str]) -> Variant:
    """Parse ``full``, ``without:TAG,…``, ``only:TAG,…`` or their ``reference:`` forms.

    Raises
    ------
    InvalidInputError
        If the text has another form.
    UnknownNameError
        If it names a tag that the text source does not have.
    """
    if text == "full":
        return FULL
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidInputError(
            f"unknown variant {text!r}; use 'full', 'without:TAG' or 'only:TAG' (several tags "
            "separated by commas, 'reference:' before them for the overlapping tags)"
        )
    reference = match["tagger"] is not None
    known = reference_tags if reference else tags
    chosen = tuple(sorted({tag.strip() for tag in match["tags"].split(",")}))
    for tag in chosen:
        if tag not in known:
            raise UnknownNameError("tag", tag, known)
    return Variant(match["rule"], chosen, reference)
