"""`P-12` anywhere in a page or a docstring becomes a link to the fact's row in protocol.md."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

__all__ = ["Facts", "setup"]

FACT = re.compile(r"\bP-\d+\b")
PAGE = "protocol"
LEFT_ALONE = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title)


class Facts(SphinxPostTransform):
    """Gives each row of the tables of facts an address, and links every mention to it."""

    default_priority = 900

    def run(self, **kwargs: Any) -> None:
        if self.env.docname == PAGE:
            self._name_rows()
        for text in list(self.document.findall(nodes.Text)):
            if FACT.search(text) and not self._is_left_alone(text):
                text.parent.replace(text, self._linked(str(text)))

    def _name_rows(self) -> None:
        for row in self.document.findall(nodes.row):
            first = row[0]
            if FACT.fullmatch(first.astext()) and first.astext() not in self.document.ids:
                row["ids"].append(first.astext())

    def _is_left_alone(self, text: nodes.Text) -> bool:
        """Whether it stands in code, in a link, or is the name of its own row."""
        parent = text.parent
        while parent is not None and not isinstance(parent, nodes.document):
            if isinstance(
                parent, nodes.literal | nodes.literal_block | nodes.reference | nodes.title
            ):
                return True
            if isinstance(parent, nodes.entry) and FACT.fullmatch(parent.astext()):
                return True
            parent = parent.parent
        return False

    def _linked(self, text: str) -> list[nodes.Node]:
        parts: list[nodes.Node] = []
        at = 0
        page = self.app.builder.get_relative_uri(self.env.docname, PAGE)
        for match in FACT.finditer(text):
            parts.append(nodes.Text(text[at : match.start()]))
            address = f"{page}#{match[0]}"
            parts.append(nodes.reference("", match[0], refuri=address, internal=True))
            at = match.end()
        parts.append(nodes.Text(text[at:]))
        return parts


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_post_transform(Facts)
    return {"parallel_read_safe": True}
