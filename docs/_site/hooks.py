"""Makes pages of the site out of files that live elsewhere: the README, the changelog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
# A link to a file that is no page of the site: its text stays.
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+(?!README\.md|CHANGELOG\.md)[^)#\s]*\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as the first page, and the changelog with what is not released yet."""
    readme = (ROOT / "README.md").read_text("utf-8").replace("](docs/", "](")
    readme = readme.replace("](CHANGELOG.md)", "](changelog.md)")
    files.append(File.generated(config, "index.md", content=_without_outside(readme)))
    files.append(File.generated(config, "changelog.md", content=changelog()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to the README lead to the first page, and those out of the site be text."""
    markdown = markdown.replace("](../README.md", "](index.md")
    return _OUTSIDE.sub(r"\1", markdown.replace("](../CHANGELOG.md", "](changelog.md"))


def changelog() -> str:
    """The changelog, its fragments on top."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    fragments = sorted(
        path.read_text("utf-8").strip()
        for path in (ROOT / "changes").glob("*.md")
        if path.name != "README.md"
    )
    first, _, rest = text.partition("\n## ")
    new = "\n".join(f"- {' '.join(one.split())}" for one in fragments)
    begin = first.replace("[changes/](changes/README.md)", "`changes/`")
    return f"{begin}\n## Not released yet\n\n{new}\n\n## {rest}"


def _without_outside(markdown: str) -> str:
    return re.sub(
        r"\[([^\]]*)\]\((?:ingest/[^)]*|LICENSE|NOTICES\.md|CITATION\.cff|SECURITY\.md)\)",
        r"\1",
        markdown,
    )
