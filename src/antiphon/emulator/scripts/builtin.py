"""The built-in conversation: small, predictable answers where no script gives one.

It echoes, counts, says what it is told to say, and calls a tool that the user or the response's
instructions speak of, so that any client can be tried at once; told to say "this", then call that,
it does both in one response. It remembers nothing and knows no sums: that takes a model.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from antiphon.emulator.scripts.script import Answer, Prompt, answer, call, say

__all__ = ["converse"]

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
).split()
_COUNT = re.compile(r"\bcount (?:up )?(?:from one )?to (\d{1,3}|[a-z]+)", re.IGNORECASE)
_SAY = re.compile(
    r"\b(?:say|repeat)(?: exactly| only| just)?:?\s+[\"'“]?(?P<words>[^\n\"”]+?)[\"'”]?\s*$",
    re.IGNORECASE,
)
_SAY_AND_CALL = re.compile(
    r"\bsay (?P<words>[\"'“][^\n\"”]+?[\"'”]),? (?:and )?then call (?:the function )?(?P<name>\w+)",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"\byes\s*(?:/|or)\s*no\b", re.IGNORECASE)


def converse(prompt: Prompt) -> Answer:
    """The built-in answer to a prompt."""
    if prompt.tool_output is not None:
        return say(f"The tool answered: {prompt.tool_output}")
    both = _SAY_AND_CALL.search(prompt.instructions)
    for offered in prompt.tools if both else ():
        if both and offered.get("name") == both["name"]:
            said = both["words"].strip("\"'“”")
            return answer(say(said), call(both["name"], _arguments(offered, prompt.text)))
    tool = _wanted_tool(prompt)
    if tool is not None:
        return call(str(tool["name"]), _arguments(tool, prompt.text))
    # What this response was told goes before what the user said, and the session's
    # standing instructions count for nothing here.
    for words in (prompt.instructions, prompt.text):
        found = _follow(words)
        if found:
            return say(found)
    if prompt.instructions:
        return say(f"Very well: {prompt.instructions}")
    if prompt.text:
        return say(f"You said: {prompt.text}")
    return say("Hello. What can I do for you?")


def _follow(words: str) -> str:
    if counted := _COUNT.search(words):
        return _count_to(counted[1].lower())
    if _YES_NO.search(words):
        return "yes"
    if told := _SAY.search(words.strip()):
        phrase = told["words"].strip()
        return phrase[:1].upper() + phrase[1:]
    return ""


def _count_to(limit: str) -> str:
    top = int(limit) if limit.isdigit() else _NUMBERS.index(limit) if limit in _NUMBERS else 0
    names = [_NUMBERS[n] if n < len(_NUMBERS) else str(n) for n in range(1, top + 1)]
    return (", ".join(names).capitalize() + ".") if names else ""


def _wanted_tool(prompt: Prompt) -> Mapping[str, Any] | None:
    functions = [tool for tool in prompt.tools if tool.get("type") == "function"]
    choice = prompt.tool_choice
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict) and choice.get("type") == "function":
        return next((tool for tool in functions if tool["name"] == choice["name"]), None)
    if choice == "required":
        return functions[0]
    # Frameworks ask for a call in the instructions of one response as often as users do in words.
    for spoken in (_words(prompt.instructions), _words(prompt.text)):
        for tool in functions:
            wanted = _words(str(tool["name"])) - _SMALL
            if wanted and wanted <= spoken:
                return tool
    return None


_SMALL = frozenset({"get", "set", "the", "a"})


def _words(text: str) -> set[str]:
    # `lookup_weather` is two words, as its user would say them.
    return set(re.findall(r"[^\W_]+", text.casefold()))


_SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}


def _arguments(tool: Mapping[str, Any], words: str) -> str:
    parameters = tool.get("parameters") or {}
    properties = parameters.get("properties") or {}
    wanted = parameters.get("required") or []
    return json.dumps({name: _sample(properties.get(name) or {}, words) for name in wanted})


def _sample(schema: Mapping[str, Any], words: str) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    return _SAMPLES.get(str(schema.get("type", "string")), words or "example")
