"""What tests look for in a page: that it stands alone, is well formed, shows what it should."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """The elements, attributes and text of a page.

    >>> Page("<p class=a>x &lt;b&gt;</p>").text
    'x <b>'
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.styles = ""
        self.pieces: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles += data
        else:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, with single blanks."""
        return re.sub(r"\s+", " ", " ".join(self.pieces)).strip()

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the first table after a text, head and foot included; at least two rows."""
        part = self.source[self.source.index(heading) :]
        part = part[part.index("<table") :]
        table = part[: part.index("</table>")]
        found = []
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
            cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)
            found.append([Page(cell).text for cell in cells])
        assert len(found) > 1, f"no table after {heading!r}"
        return found


def check_alone(source: str) -> Page:
    """Fail unless the page is well formed, asks for nothing from outside and runs nothing."""
    page = Page(source)
    assert not page.wrong and not page.open, (page.wrong[:5], page.open)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}, tags
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "srcset", "action", "data"}, (tag, name)
            if name == "href":
                assert value.startswith("#"), value
                assert ("id", value[1:]) in {i for _, a in page.elements for i in a.items()}
            if name == "style":
                assert re.fullmatch(r"((left|width):-?[\d.]+%;?|background:#[0-9a-f]{8})+", value)
    assert "url(" not in page.styles and "@import" not in page.styles
    assert not re.search(r"https?://", page.styles)
    policy = [a["content"] for t, a in page.elements if "content-security-policy" in
              a.get("http-equiv", "").lower()]  # fmt: skip
    assert len(policy) == 1 and policy[0].startswith("default-src 'none'")
    names = [attributes.get("name") for tag, attributes in page.elements if tag == "meta"]
    assert "viewport" in names
    assert "@media print" in page.styles and "color-scheme: light dark" in page.styles
    return page
