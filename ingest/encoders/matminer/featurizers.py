"""matminer's featurizers by name, and the baseline set."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: The name of the set that `baseline` makes.
BASELINE = "baseline"
_BASELINE = (
    ("ElementProperty", "magpie"),
    ("Stoichiometry", ""),
    ("ValenceOrbital", ""),
    ("BandCenter", ""),
    ("DensityFeatures", ""),
    ("GlobalSymmetryFeatures", ""),
)
# Those of their features that are numbers and that every structure has.
_CHOSEN_FEATURES = {
    "DensityFeatures": ("density", "vpa"),
    "GlobalSymmetryFeatures": (
        "spacegroup_num",
        "crystal_system_int",
        "is_centrosymmetric",
        "n_symmetry_ops",
    ),
}
_MODULES = ("composition", "structure")


@dataclass(frozen=True)
class Featurizer:
    """One of matminer's featurizers.

    Parameters
    ----------
    name : str
        As the user writes it, ``CLASS`` or ``CLASS:PRESET``.
    of : {"composition", "structure"}
        What it looks at.
    labels : tuple of str
        Of its features, in order.
    """

    name: str
    of: str
    labels: tuple[str, ...]
    made: Any

    @property
    def segment(self) -> str:
        """Its name as that of a segment."""
        return re.sub(r"\W+", "_", self.name)

    def features(self, structure: Structure) -> list[Any]:
        """Its values for one structure, as matminer gives them.

        Raises
        ------
        InvalidInputError
            If it gives more or fewer than it has labels.
        """
        seen = structure.composition if self.of == "composition" else structure
        values = list(self.made.featurize(seen))
        if len(values) != len(self.labels):
            raise InvalidInputError(f"it gives {len(values)} values for {len(self.labels)} labels")
        return values


def baseline(impute_nan: bool) -> tuple[Featurizer, ...]:
    """Magpie's statistics of elemental properties, stoichiometric norms and valence orbitals.

    (Ward et al., npj Comput. Mater. 2, 16028, 2016), the band centre; then density, volume per
    atom and space group.
    """
    return tuple(_featurizer(name, preset, impute_nan) for name, preset in _BASELINE)


def named_featurizers(names: Sequence[str], impute_nan: bool) -> tuple[Featurizer, ...]:
    """The featurizers of these names, in their order.

    Raises
    ------
    UnknownNameError
        If matminer has no such featurizer of compositions or structures.
    InvalidInputError
        If a name is empty or given twice, a preset is needed or unknown, or a featurizer has to be
        fitted to a data set first.
    """
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(f"the featurizer {name!r} is named twice")
    return tuple(_featurizer(*_split(name), impute_nan) for name in names)


def _split(name: str) -> tuple[str, str]:
    class_name, colon, preset = (part.strip() for part in name.partition(":"))
    if not class_name or (colon and not preset):
        raise InvalidInputError(f"{name!r} is no name of a featurizer; write CLASS or CLASS:PRESET")
    return class_name, preset


def _featurizer(class_name: str, preset: str, impute_nan: bool) -> Featurizer:
    name = f"{class_name}:{preset}" if preset else class_name
    of, found = _found(class_name)
    if preset and not hasattr(found, "from_preset"):
        raise InvalidInputError(f"the featurizer {class_name} has no presets; got {preset!r}")
    make = found.from_preset if preset else found
    parameters = inspect.signature(make).parameters
    options: dict[str, Any] = {}
    if "impute_nan" in parameters:
        options["impute_nan"] = impute_nan
    if class_name in _CHOSEN_FEATURES:
        options["desired_features"] = list(_CHOSEN_FEATURES[class_name])
    needed = [
        parameter.name
        for parameter in parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ][bool(preset) :]
    if needed:
        fix = "; name a preset, as NAME:PRESET" if hasattr(found, "from_preset") else ""
        raise InvalidInputError(f"the featurizer {name} needs its arguments {needed}{fix}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = make(preset, **options) if preset else make(**options)
            if _has_to_be_fitted(made):
                raise InvalidInputError(
                    f"the featurizer {name} has to be fitted to a data set first: its features "
                    "would depend on what else is encoded"
                )
            return Featurizer(name, of, tuple(map(str, made.feature_labels())), made)
    except InvalidInputError:
        raise
    # Presets are looked up, and tables read, in each featurizer's own way.
    except Exception as error:
        raise InvalidInputError(
            f"the featurizer {name} cannot be made: {type(error).__name__}: {error}"
        ) from error


def _found(class_name: str) -> tuple[str, Any]:
    """What the featurizer looks at, and its class."""
    known: dict[str, tuple[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = importlib.import_module("matminer.featurizers.base").BaseFeaturizer
        for module in _MODULES:
            content = vars(importlib.import_module(f"matminer.featurizers.{module}"))
            known |= {
                name: (module, value)
                for name, value in content.items()
                if isinstance(value, type) and issubclass(value, base)
            }
    if class_name not in known:
        raise UnknownNameError("matminer featurizer", class_name, known)
    return known[class_name]


def _has_to_be_fitted(featurizer: Any) -> bool:
    base = importlib.import_module("matminer.featurizers.base").BaseFeaturizer
    inner = getattr(featurizer, "site_featurizer", None)
    # That of SiteStatsFingerprint only hands on to its featurizer of sites.
    return bool(type(inner if inner is not None else featurizer).fit is not base.fit)
