"""The names that commands offer: rules to choose by, formats of structure files."""

from __future__ import annotations

PROBABILITY = "probability"
IMPROVEMENT = "expected-improvement"
UPPER_BOUND = "upper-bound"
UNCERTAINTY = "uncertainty"
#: Acquisition rules, see `train.screening.rules.scores`.
RULES = (PROBABILITY, IMPROVEMENT, UPPER_BOUND, UNCERTAINTY)

GREEDY, RANDOM = "greedy", "random"
#: What replayed campaigns can pick by: an acquisition rule, the best prediction, at random.
REPLAYED = (*RULES, GREEDY, RANDOM)
#: Those that are compared if none is named.
USUAL = (IMPROVEMENT, GREEDY, RANDOM)
USUAL_OF_CLASSES = (UPPER_BOUND, GREEDY, RANDOM)

#: Suffixes of structure files by format.
STRUCTURE_FORMATS = {"cif": ".cif", "poscar": ".vasp"}
