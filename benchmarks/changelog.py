"""Gathers the fragments of changes/ below a heading of the new version in CHANGELOG.md.

python -m benchmarks.changelog 0.2.0
"""

from __future__ import annotations

from pathlib import Path

import click

ROOT = Path(__file__).parents[1]


def fragments(root: Path) -> list[Path]:
    """The files of what is not released yet."""
    return sorted(path for path in (root / "changes").glob("*.md") if path.name != "README.md")


def released(root: Path, version: str) -> str:
    """The changelog with the fragments as the section of a version."""
    text = (root / "CHANGELOG.md").read_text("utf-8")
    if f"\n## {version}\n" in text:
        raise click.ClickException(f"CHANGELOG.md has {version} already")
    found = fragments(root)
    if not found:
        raise click.ClickException("there is no fragment in changes/")
    items = [" ".join(path.read_text("utf-8").split()) for path in found]
    before, _, after = text.partition("\n## ")
    return f"{before}\n## {version}\n\n" + "".join(f"- {one}\n" for one in items) + f"\n## {after}"


@click.command()
@click.argument("version")
def main(version: str) -> None:
    """Write the section of VERSION and remove its fragments."""
    text = released(ROOT, version)
    (ROOT / "CHANGELOG.md").write_text(text, "utf-8")
    for path in fragments(ROOT):
        path.unlink()
    click.echo(f"CHANGELOG.md has {version}")


if __name__ == "__main__":
    main()
