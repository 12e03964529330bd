"""The rules by which a structure is refused: one class each, its name is what failures say."""

from __future__ import annotations

from featurestore.errors import FeatureStoreError


class InvalidStructureError(FeatureStoreError):
    """A structure that cannot be a crystal; the message says what is wrong with it."""


class UnreadableFileError(InvalidStructureError):
    """A file that breaks the rules of its format."""


class NoStructureError(InvalidStructureError):
    """A file of a format for structures that holds none."""


class LimitError(InvalidStructureError):
    """More bytes, atoms, members or levels than are read, or something else than a file."""


class UnknownElementError(InvalidStructureError):
    """A site whose element cannot be told."""


class DisorderError(InvalidStructureError):
    """A site that is partially occupied or shared."""


class OverlapError(InvalidStructureError):
    """Atoms closer than their elements allow."""


class DensityError(InvalidStructureError):
    """A cell with more matter than it can hold."""


class SymmetryError(InvalidStructureError):
    """Symmetry that is stated and not understood, contradicts itself or does not fit the cell."""


class CompositionError(InvalidStructureError):
    """Atoms that are not those of the file's own formula."""


class ReadersDisagreeError(InvalidStructureError):
    """Two libraries make different crystals of one file, and nothing in it says which is right."""


class ReaderConflictError(InvalidStructureError):
    """Two installed packages claim one file; neither is chosen silently."""


class ReaderError(InvalidStructureError):
    """No reader claims a file, and one that might is broken; the message names its package."""


class OtherStructureError(InvalidStructureError):
    """A run that ended with another structure than the one it lies beside."""
