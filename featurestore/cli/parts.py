"""``featurestore parts``: what installed packages add, and the settings of each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featurestore.cli.options import CONTEXT, format_option
from featurestore.errors import FeatureStoreError

if TYPE_CHECKING:
    from featurestore.plugins import Part, Setting

_GROUPS = ("encoders", "texts", "predictors", "sources")


@click.command(context_settings=CONTEXT)
@click.argument("group", required=False, type=click.Choice(_GROUPS))
@click.argument("name", required=False)
@format_option
def parts(group: str | None, name: str | None, output_format: str) -> None:
    """List encoders, text generators, predictors and structure readers, and their settings.

    With a NAME its settings are listed: give them as --set NAME=VALUE to the command that uses the
    part. A part that cannot be used is listed with the reason.

    \b
    Example:
      featurestore parts
      featurestore parts encoders matminer
    """
    import pyarrow as pa

    from featurestore.output.rows import print_table
    from featurestore.plugins import Part, load_part

    if group is None or name is None:
        rows = [row for one in ([group] if group else _GROUPS) for row in _listed(one)]
    else:
        part = load_part(f"featurestore.{group}", name, Part)
        if output_format == "table":
            click.echo(_described(group, part))
            return
        rows = [_setting_row(setting) for setting in part.settings]
    print_table(pa.Table.from_pylist(rows), output_format)


def _listed(group: str) -> list[dict[str, Any]]:
    """A row for each part of a group; of a broken one what is wrong with it."""
    from featurestore.plugins import Part, load_part, part_names, registered

    rows = []
    full = f"featurestore.{group}"
    for name in part_names(full):
        package, version, licence, summary = "", "", "", ""
        try:
            entry = registered(full, name)
            package, version = entry.package, entry.version
            part = load_part(full, name, Part)
            licence, summary = part.licence, part.summary
            part.versions()
        except FeatureStoreError as error:
            summary = f"cannot be used: {error}"
        rows.append(
            {
                "group": group,
                "name": name,
                "package": package,
                "version": version,
                "licence": licence,
                "summary": summary,
            }
        )
    return rows


def _described(group: str, part: Part) -> str:
    """One part and its settings, for people."""
    from featurestore.plugins import registered

    trained_on = part.trained_on
    if isinstance(trained_on, tuple):
        trained_on = f"{len(trained_on):,} materials" if trained_on else "no material"
    facts = [
        ("part of", str(registered(f"featurestore.{group}", part.name))),
        ("needs", ", ".join(part.packages) or "no package beside it"),
        ("licence", part.licence or "not said"),
        ("trained on", trained_on or "not said"),
    ]
    formatter = click.HelpFormatter(max_width=100)
    formatter.write_text(part.summary)
    formatter.write_paragraph()
    formatter.write_dl(facts)
    if not part.settings:
        formatter.write_paragraph()
        formatter.write_text("It takes no settings.")
        return formatter.getvalue().rstrip()
    with formatter.section("Settings, given as --set NAME=VALUE"):
        formatter.write_dl(
            [
                (
                    f"{setting.name}={setting.written(setting.default)}",
                    f"{setting.help}  [{row['type']}: {setting.allowed}]",
                )
                for setting in part.settings
                for row in [_setting_row(setting)]
            ]
        )
    return formatter.getvalue().rstrip()


def _setting_row(setting: Setting) -> dict[str, Any]:
    return {
        "setting": setting.name,
        "type": "choice" if setting.choices else setting.type.__name__,
        "default": setting.written(setting.default),
        "takes": setting.allowed,
        "identity": setting.identity,
        "help": setting.help,
    }
