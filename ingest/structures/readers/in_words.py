"""What a library says of a file that it cannot read, in words about the file."""

from __future__ import annotations

import re

_UNFIT = "it is not in the form that its format asks for"
_SHORT = "it ends early, or a line has too few fields"
_MISSING = "something is missing that others need"
_SAYINGS = (
    (r"could not convert string (?:to float: )?b?(['\"].*?['\"])", "{0} where a number is due"),
    (r"invalid literal for int\(\).*: b?(.+)", "{0} where a whole number is due"),
    (r"not enough values to unpack.* (\d+), got (\d+)", "a line has {1} of {0} fields"),
    (r"too many values to unpack.*expected (\d+)", "a line has more than {0} fields"),
    (r"assign tuple of length (\d+) to structure with (\d+)", "a line has {0} fields, not {1}"),
    (r"requires (\d+) columns but (\d+) were found", "a line has {1} fields, not {0}"),
    (r"number of columns changed from (\d+) to (\d+)", "a line has {1} fields, that before it {0}"),
    (r"broadcast input array from shape \((\d+),\) into shape \((\d+),\)", "{0} numbers, not {1}"),
    (r"cannot reshape array of size (\d+)", "{0} numbers, which fill no table of the right size"),
    (r"inhomogeneous shape|zip\(\) argument", "lines or columns of different lengths"),
    (r"missing \d+ required positional arguments?: (.+)", "too few numbers, without {0}"),
    (r"positional arguments? but \d+ were given", "more numbers than the format has"),
    (r"negative dimensions", "a count that is negative"),
    (r"Singular matrix", "its lattice vectors span no volume"),
    (r"convert float (?:infinity|NaN)|must be finite|too large to", "a number beyond reason"),
    (r"division by zero", "a 0 where none can be"),
    (r"out of range|out of bounds|StopIteration|end of (?:file|data|input)|incomplete row", _SHORT),
    (r"NoneType|^no field of name|object (?:is not|has no|does not)|indices must be", _MISSING),
)  # fmt: skip


def in_words(error: BaseException) -> str:
    """What is wrong with the file that a library raised this for.

    The library's own sentence where it is one; Python's about lists, tuples and types are said as
    what they mean in a file.
    """
    said = " ".join(str(error).split())[:160]
    if isinstance(error, KeyError):
        return f"it names {said or 'nothing'}, which is not known"
    if isinstance(error, UnicodeError):
        return "it holds bytes that are no text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, StopIteration | EOFError) or (isinstance(error, IndexError) and not said):
        return _SHORT
    for pattern, words in _SAYINGS:
        found = re.search(pattern, said, re.IGNORECASE)
        if found is not None:
            return words.format(*found.groups())
    # a sentence, and no word such as 'CRYSTAL' that an assertion gives away
    is_sentence = len(said.split()) > 2 and not isinstance(error, AssertionError | AttributeError)
    return said if is_sentence else _UNFIT
