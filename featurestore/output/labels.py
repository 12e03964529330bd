"""Properties, units and formulas as people write them."""

from __future__ import annotations

import re
from functools import cache
from html import escape

from featurestore.registry import load_registry

# Of ASCII as units are stored; the longer ones first.
_SIGNS = (
    ("mu_B", "μB"),
    ("m_e", "mₑ"),
    ("1e21 ", "10²¹ "),
    ("^2", "²"),
    ("uV", "μV"),
    ("uW", "μW"),
)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FORMULA = re.compile(r"(?:[A-Z][a-z]?|[()\[\]]|\d+(?:\.\d+)?)+")
# A count follows an element or a bracket that closes.
_COUNT = re.compile(r"(?<=[A-Za-z)\]])\d+(?:\.\d+)?")


def property_title(name: str) -> str:
    """What figures and pages call a property: the built-in registry's title, else its name.

    >>> property_title("mbj_bandgap"), property_title("hardness")
    ('TB-mBJ band gap', 'hardness')
    """
    return _titles().get(name) or name


def property_axis(name: str, unit: str) -> str:
    """A property's title with its unit, for an axis or a heading.

    >>> property_axis("bulk_modulus_kv", "GPa"), property_axis("poisson", "1")
    ('Voigt bulk modulus (GPa)', 'Poisson ratio')
    """
    return property_title(name) + printed_in_brackets(unit)


def printed_unit(unit: str) -> str:
    """A unit as figures show it.

    >>> printed_unit("mu_B"), printed_unit("uW/(m K^2)")
    ('μB', 'μW/(m K²)')
    """
    for stored, sign in _SIGNS:
        unit = unit.replace(stored, sign)
    return unit


def printed_after(unit: str) -> str:
    """A unit after a number: with a blank, and nothing for a pure number."""
    return "" if unit == "1" else f" {printed_unit(unit)}"


def printed_in_brackets(unit: str) -> str:
    """A unit after a name: in brackets, and nothing for a pure number."""
    return "" if unit == "1" else f" ({printed_unit(unit)})"


def formula_text(formula: str) -> str:
    """A formula with subscripts, as Unicode has them; what is no formula comes out as it is.

    >>> formula_text("Ca3(PO4)2"), formula_text("my-2nd-try")
    ('Ca₃(PO₄)₂', 'my-2nd-try')
    """
    if not _FORMULA.fullmatch(formula):
        return formula
    return _COUNT.sub(lambda found: found[0].translate(_SUBSCRIPTS), formula)


def formula_html(formula: str) -> str:
    """A formula with subscripts, as HTML; everything is escaped.

    >>> formula_html("Fe2O3"), formula_html("<b>")
    ('Fe<sub>2</sub>O<sub>3</sub>', '&lt;b&gt;')
    """
    if not _FORMULA.fullmatch(formula):
        return escape(formula)
    return _COUNT.sub(r"<sub>\g<0></sub>", formula)


def space_group_html(symbol: str) -> str:
    """A Hermann-Mauguin symbol with screw axes as subscripts and bars over rotoinversions, as HTML.

    Everything is escaped.

    >>> space_group_html("P2_1/c"), space_group_html("P-3m1")
    ('P2<sub>1</sub>/c', 'P3\u0305m1')
    """
    marked = re.sub(r"_(\d)", r"<sub>\1</sub>", escape(symbol))
    return re.sub(r"-(\d)", "\\1\u0305", marked)


@cache
def _titles() -> dict[str, str]:
    return {name: one.title for name, one in load_registry().properties.items()}
