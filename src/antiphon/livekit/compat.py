"""The framework's data classes, as the installed version of it has them."""

import dataclasses
from typing import Any, TypeVar

from livekit.agents import llm

__all__ = ["known", "realtime_error"]

T = TypeVar("T")


def known(cls: type[T], **fields: Any) -> T:
    """An object of `cls`, without the fields that this version of livekit-agents does not have."""
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in fields.items() if name in names})


def realtime_error(message: str, *, code: str | None = None) -> llm.RealtimeError:
    """The error that the framework catches, with the server's code; older versions take none."""
    error = llm.RealtimeError(message)
    error.code = code
    return error
