"""``featurestore properties``: sources taken together by a rule, and properties derived by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featurestore.cli.options import CONTEXT, at_option, format_option, store_option

if TYPE_CHECKING:
    from featurestore.property_rules import PropertyRule
    from featurestore.store import FeatureStore


@click.group(context_settings=CONTEXT)
def properties() -> None:
    """List properties with their sources, take sources together, and derive properties."""


@properties.command("list", context_settings=CONTEXT)
@store_option
@at_option
@format_option
def list_properties(store_uri: str, at: str | None, output_format: str) -> None:
    """List each property with its sources, and the rule that takes them together.

    \b
    Example:
      featurestore properties list
    """
    from featurestore.output.rows import print_table
    from featurestore.property_overview import property_overview
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        table = property_overview(session)
    print_table(table, output_format)


@properties.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@click.argument("sources", metavar="SOURCES", nargs=-1, required=True)
@click.option(
    "--tolerance",
    type=float,
    default=0.0,
    show_default=True,
    help="How far the values of one material may lie apart and agree, in the property's unit.",
)
@store_option
def unite(property_name: str, sources: tuple[str, ...], tolerance: float, store_uri: str) -> None:
    """Let SOURCES be one PROPERTY, of which no two may disagree.

    The value of a material is that of the first of SOURCES that has one. Views and conditions of
    the property then need no choice; while sources disagree for a material they are refused.

    \b
    Example:
      featurestore properties unite mbj_bandgap lab cifs --tolerance 0.01
    """
    from featurestore.store import FeatureStore
    from featurestore.upkeep import property_rules

    store = FeatureStore.open(store_uri)
    rule, new = property_rules.unite(store, property_name, sources, tolerance)
    _say(store, rule, new)


@properties.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@click.argument("sources", metavar="SOURCES", nargs=-1, required=True)
@store_option
def prefer(property_name: str, sources: tuple[str, ...], store_uri: str) -> None:
    """Let the first of SOURCES that has a value of PROPERTY for a material win.

    \b
    Example:
      featurestore properties prefer mbj_bandgap lab cifs
    """
    from featurestore.store import FeatureStore
    from featurestore.upkeep import property_rules

    store = FeatureStore.open(store_uri)
    rule, new = property_rules.prefer(store, property_name, sources)
    _say(store, rule, new)


@properties.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@store_option
def separate(property_name: str, store_uri: str) -> None:
    """Take the sources of PROPERTY together no longer.

    \b
    Example:
      featurestore properties separate mbj_bandgap
    """
    from featurestore.store import FeatureStore
    from featurestore.upkeep import property_rules

    rule, _ = property_rules.separate(FeatureStore.open(store_uri), property_name)
    click.echo(f"the sources of {rule.property} are separate (version {rule.version})")


@properties.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@click.option(
    "--tolerance", type=float, help="Of this size instead of the rule's, in the property's unit."
)
@store_option
@at_option
@format_option
def conflicts(
    property_name: str,
    tolerance: float | None,
    store_uri: str,
    at: str | None,
    output_format: str,
) -> None:
    """List the materials for which sources of PROPERTY disagree: those of its rule, or all.

    \b
    Example:
      featurestore properties conflicts mbj_bandgap
    """
    from featurestore.output.rows import print_table
    from featurestore.property_overview import property_conflicts
    from featurestore.store import FeatureStore

    with FeatureStore.open(store_uri, at=at).session() as session:
        table = property_conflicts(session, property_name, tolerance)
    print_table(table, output_format)


@properties.command(context_settings=CONTEXT)
@click.argument("property_name", metavar="PROPERTY")
@click.argument("expression", metavar="SQL")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="NAME",
    help="A class of a text, in the order wanted (repeatable). Default: those there are, sorted.",
)
@click.option(
    "--property-source",
    metavar="NAME",
    help="Source of the properties that the rule reads, where there are several.",
)
@click.option("--replace", is_flag=True, help="Replace what the same rule gave before.")
@store_option
def derive(
    property_name: str,
    expression: str,
    classes: tuple[str, ...],
    property_source: str | None,
    replace: bool,
    store_uri: str,
) -> None:
    """Store a PROPERTY of classes that a rule in SQL gives for each material.

    The rule is over the columns of materials and stored properties, and gives true, false or null,
    or a text. It stands in place of the values' source. Run it again when targets have come.

    \b
    Example:
      featurestore properties derive metal "mbj_bandgap <= 0"
      featurestore properties derive system crystal_system --class cubic --class other
    """
    from featurestore.store import FeatureStore
    from featurestore.upkeep.derivation import derive as derived

    store = FeatureStore.open(store_uri)
    found = derived(
        store,
        property_name,
        expression,
        classes=classes,
        property_source=property_source,
        replace=replace,
    )
    counted = ", ".join(f"{n:,} {name}" for name, n in found.counts.items())
    click.echo(
        f"{found.property}: {counted}; {found.written:,} written, {found.present:,} already there"
    )
    click.echo(f"  source {found.source}")
    for note in found.notes():
        click.echo(f"  {note}")


def _say(store: FeatureStore, rule: PropertyRule, new: bool) -> None:
    from featurestore.property_rules import UNITE, conflicts

    was = "" if new else " (it was so)"
    click.echo(f"{rule.property}: {rule.text}, version {rule.version}{was}")
    with store.session() as session:
        found = conflicts(session, rule.property, rule.sources, rule.tolerance)
    if found.num_rows:
        refused = "views are refused" if rule.way == UNITE else "the first source stands"
        click.echo(
            f"  {found.num_rows:,} materials for which they disagree, {refused}; see: "
            f"featurestore properties conflicts {rule.property}"
        )
