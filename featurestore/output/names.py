"""File names made of ids and names: always one name in one folder, whatever they hold."""

from __future__ import annotations

import re
import unicodedata

from featurestore.identity import sha256_hex

_OTHER = re.compile(r"[^A-Za-z0-9._+=-]+")
# Names that mean devices on Windows, with any suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 120
_DIGITS = 8


def file_name(*parts: object, suffix: str = "") -> str:
    """A file's name made of ``parts``, joined by underscores, and ``suffix``.

    Parts come out as they are if they consist of letters of ASCII, digits and ``._+=-``. What else
    they hold becomes ``_``, and digits of the parts' hash tell such a name from others.

    Parameters
    ----------
    parts : object
        Ids, names of properties and splits, numbers; whatever a store holds.
    suffix : str
        Of the file, such as ``".png"``.

    Returns
    -------
    str
        At most 120 characters and the suffix. It has no separator and no control character, does
        not begin with a dot or a dash, and names no device.
    """
    given = "_".join(str(part) for part in parts)
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode()
    made = _OTHER.sub("_", plain).lstrip(".-")
    if made != given or len(made) > _LONGEST or not made or _DEVICES.fullmatch(made):
        digits = sha256_hex(given.encode("utf-8", "surrogatepass"))[:_DIGITS]
        made = f"{made[: _LONGEST - _DIGITS - 1].rstrip('.') or 'unnamed'}-{digits}"
        if _DEVICES.fullmatch(made.partition(".")[0]):
            made = f"_{made}"
    return made + suffix
