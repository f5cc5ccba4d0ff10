"""Scripts written down in TOML or JSON."""

import json
from pathlib import Path

import pytest

from antiphon.cli.script_file import ScriptFileError, read_script
from antiphon.emulator import (
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

__all__: list[str] = []


def steps(tmp_path: Path, toml: str) -> list[Answer]:
    path = tmp_path / "script.toml"
    path.write_text(toml)
    return read_script(path).unconsumed


@pytest.mark.parametrize(
    ("toml", "step"),
    [
        ('say = "hello"', say("hello")),
        ('say = "hello"\nms = 900', say("hello", ms=900)),
        ('text = "hello"', text("hello")),
        ('call = "f"\narguments = { a = 1 }', call("f", {"a": 1})),
        ('call = "f"\narguments = "{no json"\ncall_id = "c1"', call("f", "{no json", call_id="c1")),
        ('parts = [{ say = "a" }, { call = "f" }]', answer(say("a"), call("f"))),
        (
            'mcp_call = "t"\nserver = "docs"\narguments = { a = 1 }\noutput = "b"',
            mcp_call("docs", "t", {"a": 1}, output="b"),
        ),
        (
            'parts = [{ mcp_call = "t", server = "docs", error = "gone" }]',
            mcp_call("docs", "t", error="gone"),
        ),
        ('mcp_approval = "t"\nserver = "docs"', mcp_approval("docs", "t")),
        (
            'fail = "x"\nmessage = "y"\nafter = { say = "a" }',
            fail("x", "y", after=say("a")),
        ),
        ('incomplete = "content_filter"', incomplete("content_filter")),
        ('stall = true\nafter = { text = "a" }', stall(after=text("a"))),
        ("silence = true", silence()),
        ('say = "a"\ntimes = 3', say("a").times(3)),
        (
            'say = "a"\nwhen = { lane = "out_of_band", metadata = { k = "v" }, turn = 2 }',
            say("a").when(lane="out_of_band", metadata={"k": "v"}, turn=2),
        ),
        (
            'say = "a"\nwhen = { automatic = true, contains = "b", tool_output = "c" }',
            say("a").when(automatic=True, contains="b", tool_output="c"),
        ),
    ],
)
def test_each_form_means_what_it_means_in_python(tmp_path: Path, toml: str, step: Answer) -> None:
    assert steps(tmp_path, f"[[answer]]\n{toml}") == [step]


def test_tools_of_mcp_servers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('mcp = { docs = ["search"] }')
    tools = read_script(path).mcp_tools("docs")
    assert tools is not None
    assert [tool["name"] for tool in tools] == ["search"]


def test_always_is_never_left_over(tmp_path: Path) -> None:
    assert steps(tmp_path, '[[answer]]\nsay = "a"\nalways = true') == []


def test_json_is_read_too_and_hears_and_strict_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"hears": ["one"], "strict": True, "answer": [{"say": "a"}]}))
    script = read_script(path)
    assert script.unconsumed == [say("a")]
    assert script.hear() == "one"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[[answer]]", "answer 1 has nothing; it must have one of: say, text"),
        ('[[answer]]\nsay = "a"\n[[answer]]\nsay = "a"\ntext = "b"', "answer 2 has say and text"),
        ('[[answer]]\nsya = "a"', "unknown field `sya`"),
        ("[[answer]]\nsay = 3", "Expected `str | null`, got `int`"),
        ("[[answer]]\nparts = [{ ms = 3 }]", "answer 1, a part must have one of: say, text, call"),
        ('[[answer]]\nsay = "a"\nwhen = { lane = "oob" }', "lane is 'oob'"),
        ('[[answer]]\nsay = "a"\ntimes = 0', "at least once"),
        ("not toml", "script.toml: "),
    ],
)
def test_what_is_no_script_is_told_with_its_place(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(ScriptFileError) as refused:
        steps(tmp_path, toml)
    assert said in str(refused.value)
    assert "script.toml" in str(refused.value)
