"""`--script FILE`: what the emulated model answers, written down in TOML or JSON.

hears = ["Where is my bicycle?"]      # transcripts of the user's spoken turns

[[answer]]                            # taken in order, each by the first response it fits
say = "On the road. Shall I look up more?"
ms = 2500

[[answer]]
call = "lookup"
arguments = { order = 7 }
when = { contains = "yes" }

[[answer]]
say = "calm"
when = { lane = "out_of_band", metadata = { purpose = "mood" } }
always = true
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from antiphon.emulator import (
    Script,
    answer,
    call,
    fail,
    incomplete,
    mcp_approval,
    mcp_call,
    say,
    silence,
    stall,
    text,
)
from antiphon.emulator.scripts.script import Answer

__all__ = ["FORMAT", "ScriptFileError", "read_script"]

FORMAT = """\
A script is TOML (or JSON of the same shape). `hears` lists the transcripts of the user's spoken
turns; `mcp = { label = ["tool"] }` names the tools of MCP servers; `strict = true` fails every
response that no answer fits. Each [[answer]] has one of:

  say = "words"            speech (text where the response asks for text); ms = its length
  text = "words"           written text
  call = "function"        with arguments = { ... } or the very string, and call_id
  mcp_call = "tool"        with server = "label", arguments, and output = "..." or error = "..."
  mcp_approval = "tool"    with server = "label" and arguments
  parts = [{ say = ... }, { call = ... }]        several items in one response
  fail = "code"            with message = "..."
  incomplete = "reason"    max_output_tokens or content_filter
  stall = true             never ends, unless it is cancelled
  silence = true           completes without any item

and may have: after = { say = ... } (what comes before fail, incomplete or stall), times = 3,
always = true, and when = { lane = "default" | "out_of_band", turn = 0, automatic = true,
contains = "words", metadata = { key = "value" }, tool_output = "words" }."""


class ScriptFileError(Exception):
    """The file is no script; the message says where and why."""


class _When(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    lane: str | None = None
    turn: int | None = None
    automatic: bool | None = None
    contains: str | None = None
    metadata: dict[str, str] | None = None
    tool_output: str | None = None


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    say: str | None = None
    ms: int | None = None
    text: str | None = None
    call: str | None = None
    arguments: dict[str, Any] | str | None = None
    call_id: str | None = None
    mcp_call: str | None = None
    mcp_approval: str | None = None
    server: str = ""
    output: str = ""
    error: str = ""


class _Answer(_Part, kw_only=True):
    parts: list[_Part] | None = None
    fail: str | None = None
    message: str | None = None
    incomplete: str | None = None
    stall: bool = False
    silence: bool = False
    after: _Part | None = None
    times: int | None = None
    always: bool = False
    when: _When | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    answer: list[_Answer] = []
    hears: list[str] = []
    mcp: dict[str, list[str]] = {}
    strict: bool = False


def read_script(path: Path) -> Script:
    """Read a script.

    Args:
        path: JSON if it ends in `.json`, else TOML.

    Raises:
        ScriptFileError: it cannot be read, or is no script.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".json":
            found = msgspec.json.decode(raw, type=_File)
        else:
            found = msgspec.convert(tomllib.loads(raw.decode()), _File)
        steps = [_step(entry, f"answer {number}") for number, entry in enumerate(found.answer, 1)]
    except OSError as error:
        raise ScriptFileError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, ValueError) as error:
        raise ScriptFileError(f"{path}: {error}") from error
    return Script(steps, hears=found.hears, mcp=found.mcp, strict=found.strict)


def _step(given: _Answer, where: str) -> Answer:
    made = _whole(given, where)
    if given.when is not None:
        when = given.when
        if when.lane not in (None, "default", "out_of_band"):
            raise ValueError(f"{where}: lane is {when.lane!r}, not default or out_of_band")
        made = made.when(
            lane=when.lane,
            turn=when.turn,
            automatic=when.automatic,
            contains=when.contains,
            metadata=when.metadata,
            tool_output=when.tool_output,
        )
    if given.always:
        return made.always()
    return made if given.times is None else made.times(given.times)


def _whole(given: _Answer, where: str) -> Answer:
    after = _part(given.after, f"{where}, after") if given.after is not None else None
    kinds: dict[str, Any] = {
        "say": given.say,
        "text": given.text,
        "call": given.call,
        "mcp_call": given.mcp_call,
        "mcp_approval": given.mcp_approval,
        "parts": given.parts,
        "fail": given.fail,
        "incomplete": given.incomplete,
        "stall": given.stall or None,
        "silence": given.silence or None,
    }
    match [kind for kind, value in kinds.items() if value is not None]:
        case ["parts"]:
            return answer(*(_part(part, f"{where}, a part") for part in given.parts or ()))
        case ["fail"]:
            code = given.fail or ""
            return fail(code, given.message or f"The script says: {code}.", after=after)
        case ["incomplete"]:
            return incomplete(given.incomplete or "", after=after)
        case ["stall"]:
            return stall(after=after)
        case ["silence"]:
            return silence()
        case ["say" | "text" | "call" | "mcp_call" | "mcp_approval"]:
            return _part(given, where)
        case found:
            said = " and ".join(found) or "nothing"
            raise ValueError(f"{where} has {said}; it must have one of: {', '.join(kinds)}")


def _part(given: _Part, where: str) -> Answer:
    kinds = ("say", "text", "call", "mcp_call", "mcp_approval")
    asked = given.arguments
    match [(kind, found) for kind in kinds if (found := getattr(given, kind)) is not None]:
        case [("say", words)]:
            return say(words, ms=given.ms)
        case [("text", words)]:
            return text(words)
        case [("call", name)]:
            return call(name, asked, call_id=given.call_id)
        case [("mcp_call", name)]:
            return mcp_call(given.server, name, asked, output=given.output, error=given.error)
        case [("mcp_approval", name)]:
            return mcp_approval(given.server, name, asked)
        case _:
            raise ValueError(f"{where} must have one of: {', '.join(kinds)}")
