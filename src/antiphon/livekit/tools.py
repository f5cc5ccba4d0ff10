"""The framework's tools as the protocol has them."""

import logging
from collections.abc import Iterable
from typing import Any, cast

from livekit.agents import llm

__all__ = ["tools_to_wire"]

logger = logging.getLogger("antiphon.livekit")

# Any other key is refused, and all tools with it (P-89).
_KEYS = ("name", "description", "parameters")


def tools_to_wire(tools: Iterable[Any]) -> tuple[list[dict[str, Any]], list[llm.Tool]]:
    """Descriptions of the functions, and the tools that were usable.

    A provider's own tool is kept but not described: it is no function.
    """
    described: list[dict[str, Any]] = []
    usable: list[llm.Tool] = []
    for tool in tools:
        if llm.is_function_tool(tool):
            schema = llm.utils.build_legacy_openai_schema(tool, internally_tagged=True)
        elif llm.is_raw_function_tool(tool):
            schema = dict(tool.info.raw_schema)
        elif isinstance(tool, getattr(llm, "ProviderTool", ())):
            usable.append(cast(llm.Tool, tool))
            continue
        else:
            logger.error("a tool of type %s was left out: it is no function", type(tool).__name__)
            continue
        if not isinstance(schema.get("name"), str):
            logger.error("a raw tool was left out: its schema has no name")
            continue
        known = {key: schema[key] for key in _KEYS if key in schema}
        described.append({"type": "function", **known})
        usable.append(cast(llm.Tool, tool))
    return described, usable
