"""Links between documents lead somewhere, and every page is in the site's navigation."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path

import click
import pytest

from benchmarks.changelog import fragments, released
from benchmarks.readme_picture import errors

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Made when the site is built.
GENERATED = {"index.md", "changelog.md"}
_LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(path: Path) -> set[str]:
    """The ids of the headings, as Python-Markdown makes them; a repeated one has a number."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
        found.add(slug if not seen[slug] else f"{slug}_{seen[slug]}")
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(page: Path):
    for link in _LINK.findall(without_code(page.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_navigation_and_so_two_clicks_away():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = re.findall(r"^ +- .*?: ([\w-]+\.md)$", text, re.MULTILINE)
    assert set(named) == {path.name for path in (ROOT / "docs").glob("*.md")} | GENERATED
    assert len(named) == len(set(named))


def test_the_page_of_commands_has_every_command_with_its_options_and_examples_as_code():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs/_site/commands.py")
    assert spec is not None and spec.loader is not None
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)

    @click.group()
    def root() -> None:
        """Take <this> apart, as a | b.

        \b
        Example:
          root part --into a
          root part
        """

    @root.command()
    @click.option("--into", type=click.Choice(["a", "b"]), default="a", show_default=True)
    @click.option("--how", help="One of x|y.")
    @click.option("--secret", hidden=True)
    def part(into: str, how: str, secret: str) -> None:
        """Do it."""

    page = "\n".join(commands.described("root", root))
    assert "Take &lt;this&gt; apart" in page
    assert "Example:\n\n```text\nroot part --into a\nroot part\n```" in page
    assert "\n### root part { #root-part data-toc-label='part' }\n" in page
    assert "| `--into [a|b]` | \\[default: a\\] |" in page
    assert "| `--how TEXT` | One of x&#124;y. |" in page
    assert "UNSET" not in page and "secret" not in page
    assert commands.MARK in (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert commands.on_page_markdown("other") == "other"


def test_the_site_asks_no_other_server():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in text and "http" not in text
    for picture in (ROOT / "docs").glob("*.svg"):
        drawn = picture.read_text("utf-8")
        assert "<script" not in drawn and 'href="http' not in drawn


def test_the_picture_of_the_readme_is_of_the_numbers_of_the_results():
    text = (ROOT / "docs" / "results_training.md").read_text("utf-8")
    found = errors(text.partition("## Does text help?")[2].partition("\n## ")[0])
    assert len(found) == 7
    assert found["slme"]["structure"] == pytest.approx(4.439 / 10.2)
    assert all(0 < share < 1 for shares in found.values() for share in shares.values())


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 90


def test_fragments_become_the_section_of_a_version(tmp_path: Path):
    (tmp_path / "changes").mkdir()
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0\n\nFirst.\n")
    (tmp_path / "changes" / "README.md").write_text("how")
    (tmp_path / "changes" / "b.md").write_text("One\nthing.\n")
    assert released(tmp_path, "0.2.0") == (
        "# Changelog\n\n## 0.2.0\n\n- One thing.\n\n## 0.1.0\n\nFirst.\n"
    )
    assert all(path.read_text("utf-8").strip() for path in fragments(ROOT))
