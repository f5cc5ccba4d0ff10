"""The framework's data classes as the installed version has them, and its one kind of error."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from livekit.agents import llm

from antiphon import ConnectionClosed

__all__ = ["OptionError", "as_framework_error", "known", "realtime_error"]

T = TypeVar("T")


class OptionError(llm.RealtimeError, ValueError):
    """An option's value cannot mean anything; the message begins with the option's name.

    A `ValueError`, and the one kind of error that the framework catches.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.code: str | None = None


def known(cls: type[T], **fields: Any) -> T:
    """An object of `cls`, without the fields that this version of livekit-agents does not have."""
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in fields.items() if name in names})


def realtime_error(message: str, *, code: str | None = None) -> llm.RealtimeError:
    """The error that the framework catches, with the server's code; older versions take none."""
    error = llm.RealtimeError(message)
    error.code = code
    return error


@contextmanager
def as_framework_error(doing: str) -> Iterator[None]:
    """Whatever goes wrong inside leaves as `llm.RealtimeError`.

    The framework catches that one alone: anything else ends the task that called, and the agent
    stays "thinking" for ever. So this is the place for a broad `except`.

    Args:
        doing: the method, for the message.
    """
    try:
        yield
    except llm.RealtimeError:
        raise
    except ConnectionClosed as closed:
        raise realtime_error("realtime session closed") from closed
    except Exception as wrong:
        said = str(wrong) or type(wrong).__name__
        raise realtime_error(f"{doing}: {said}", code=getattr(wrong, "code", None)) from wrong
