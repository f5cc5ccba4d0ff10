"""Reports of what was seen on the wire, for `antiphon probe` and `antiphon prove` alike.

`model` is what a report holds (and its JSON), `trace` turns events into readable lines, `page`
makes the self-contained HTML page, `text` the table for a terminal, `markdown` the sections of
docs/conformance.md. The commands fill the model; everything else is here, once.
"""

from antiphon.bench.report.markdown import write_conformance
from antiphon.bench.report.model import (
    Case,
    Line,
    Mark,
    Report,
    Role,
    Setting,
    Side,
    Subject,
    from_json,
    to_json,
)
from antiphon.bench.report.page import html_page
from antiphon.bench.report.text import differs, reason, text_report
from antiphon.bench.report.trace import Tracer, fold

__all__ = [
    "Case",
    "Line",
    "Mark",
    "Report",
    "Role",
    "Setting",
    "Side",
    "Subject",
    "Tracer",
    "differs",
    "fold",
    "from_json",
    "html_page",
    "reason",
    "text_report",
    "to_json",
    "write_conformance",
]
