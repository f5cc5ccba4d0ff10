"""Functions that a model may call, run and answered without a line of your own.

    tools = antiphon.Tools()

    @tools.function
    async def delivery(order: Annotated[int, "its number"]) -> str:
        \"\"\"Tell when an order comes.\"\"\"
        return "on Tuesday"

    async with antiphon.connect(session={"tools": tools.schemas}) as session, tools.serve(session):
        ...

The schema comes from the type hints, and arguments are checked against them before the function is
called. Calls of one response run side by side; when all are answered, the next response is asked
for. Calls of a response that is cancelled are cancelled with it, and nothing follows them.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints, overload

import msgspec

from antiphon.client.handle import FunctionCall, ResponseHandle
from antiphon.client.session import Session
from antiphon.exceptions import LocalProtocolError, RealtimeError
from antiphon.protocol.response import Cause, Lane, OutcomeKind

__all__ = ["FollowUp", "ToolError", "Tools"]

F = TypeVar("F", bound=Callable[..., Any])

FollowUp = Callable[[Session], ResponseHandle]
"""Asks for the response that is to follow the answers of a response's calls."""

_CANCELLED = "cancelled: the user interrupted, and the function was stopped"

logger = logging.getLogger("antiphon.tools")


class ToolError(Exception):
    """Raise it in a function to tell the model, in your words, why there is no result."""


class _Tool(msgspec.Struct, frozen=True):
    name: str
    function: Callable[..., Any]
    arguments: type[msgspec.Struct]
    schema: dict[str, Any]


class Tools:
    """A set of functions that a model may call.

    Args:
        functions: as given to `function`.
        timeout: seconds that one call may take; then the model is told so. None for no limit.
    """

    def __init__(self, *functions: Callable[..., Any], timeout: float | None = 60.0) -> None:
        self._timeout = timeout
        self._tools: dict[str, _Tool] = {}
        for function in functions:
            self.function(function)

    @overload
    def function(self, function: F, /) -> F: ...

    @overload
    def function(
        self, /, *, name: str | None = None, description: str | None = None
    ) -> Callable[[F], F]: ...

    def function(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
    ) -> F | Callable[[F], F]:
        """Add a function; to be used as a decorator, with or without arguments.

        Every parameter needs a type hint that JSON can carry (what msgspec can decode: numbers,
        `Literal`, dataclasses, lists, …); `Annotated[str, "what it is"]` describes it. A coroutine
        function runs in the loop, any other in a thread, where a cancellation cannot stop it.

        Args:
            function: what to call. A result that is no string is sent as JSON.
            name: what the model calls it; default: the function's own name.
            description: what it is for; default: the first paragraph of its docstring.

        Raises:
            LocalProtocolError: a parameter without a type hint, or of a type that JSON cannot
                carry; or a second function of this name.
        """
        if function is None:
            return lambda given: self._add(given, name, description)
        return self._add(function, name, description)

    def _add(self, function: F, name: str | None, description: str | None) -> F:
        called = name or function.__name__
        if called in self._tools:
            raise LocalProtocolError(f"there is a tool {called!r} already")
        arguments = _arguments(function, called)
        says = description or (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
        schema = {"type": "function", "name": called, "parameters": _parameters(arguments, called)}
        if says:
            schema["description"] = says
        self._tools[called] = _Tool(called, function, arguments, schema)
        return function

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """For `connect(session={"tools": …})`, `Session.update` or `create_response(tools=…)`."""
        return [tool.schema for tool in self._tools.values()]

    async def run(self, call: FunctionCall) -> str:
        """Carry out one call, and return what the model is to be told.

        Never raises but for the cancellation of its own task: that the arguments are wrong, that
        there is no such function, that it failed or took too long is told to the model. Of a
        failure it is told the kind of the exception only, whose text may hold what it should not
        know; raise `ToolError` to say more.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            return f"error: there is no function {call.name!r}; there are {sorted(self._tools)}"
        try:
            arguments = msgspec.json.decode(call.arguments or "{}", type=tool.arguments)
        except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
            return f"error: {wrong}"
        given = {name: getattr(arguments, name) for name in arguments.__struct_fields__}
        try:
            async with asyncio.timeout(self._timeout):
                if inspect.iscoroutinefunction(tool.function):
                    result = await tool.function(**given)
                else:
                    result = await asyncio.to_thread(tool.function, **given)
            return result if isinstance(result, str) else msgspec.json.encode(result).decode()
        except ToolError as told:
            return f"error: {told}"
        except TimeoutError:
            return f"error: {tool.name} did not finish in time"
        except Exception as failed:
            logger.exception("the tool %s failed", tool.name)
            return f"error: {tool.name} failed ({type(failed).__name__})"

    async def follow(
        self, session: Session, reply: ResponseHandle, *, follow_up: FollowUp | None = None
    ) -> AsyncIterator[ResponseHandle]:
        """This response, and after it each that answers the calls of the one before.

            async for reply in tools.follow(session, session.create_response()):
                print(await reply.text())

        It reads `reply.calls`, so nobody else may. Stopping the iteration cancels what runs.

        Args:
            session: where it runs.
            reply: a response of the default conversation.
            follow_up: asks for the next response; default: `session.create_response()`.

        Raises:
            LocalProtocolError: the response is out of band: its calls are no part of the
                conversation, so they can only be answered by `input=` of another response.
        """
        if reply.lane is Lane.OUT_OF_BAND:
            raise LocalProtocolError(
                "an out-of-band response leaves no calls in the conversation; read its `calls`, "
                "and give call and output as `input=` of the next one"
            )
        following: ResponseHandle | None = reply
        while following is not None:
            answering = asyncio.create_task(self._answer(session, following, follow_up))
            try:
                yield following
                following = await answering
            finally:
                answering.cancel()

    @asynccontextmanager
    async def serve(
        self, session: Session, *, follow_up: FollowUp | None = None
    ) -> AsyncIterator[None]:
        """Answer the calls of every response of the default conversation, until it is left.

        Whoever made them: your program, or the server's turn detection. It reads their `calls`.
        Calls that still run when it is left are cancelled.

        Args:
            session: where to listen.
            follow_up: asks for the next response once all calls of one are answered; default:
                `session.create_response()`. Its handle comes to the `"opened"` listeners.
        """
        tasks: set[asyncio.Task[Any]] = set()

        def opened(handle: ResponseHandle) -> None:
            if handle.lane is Lane.DEFAULT:
                task = asyncio.create_task(self._answer(session, handle, follow_up))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        remove = session.on("opened", opened)
        try:
            yield
        finally:
            remove()
            await _stop(tasks)

    async def _answer(
        self, session: Session, handle: ResponseHandle, follow_up: FollowUp | None
    ) -> ResponseHandle | None:
        """Run the calls of one response, and ask for the next if there were any."""
        running: dict[str, asyncio.Task[str]] = {}
        try:
            try:
                async for call in handle.calls:
                    running[call.call_id] = asyncio.create_task(self.run(call))
            except RealtimeError:
                pass  # it failed or was lost, as its outcome says
            if not running:
                return None
            if handle.cause is not Cause.FINISHED:
                await _stop(running.values())
            outcome = await handle.done
            if outcome.kind is not OutcomeKind.COMPLETED:
                await _stop(running.values())
            if outcome.kind is OutcomeKind.LOST:
                return None  # the calls went with the connection
            for call_id, task in running.items():
                await asyncio.wait([task])
                told = _CANCELLED if task.cancelled() else task.result()
                # Not waited for: the next response may be asked for in the same breath, since the
                # server reads in order. A refusal comes to the session's "report" listeners.
                _ = session.send_function_output(call_id, told)
            if outcome.kind is not OutcomeKind.COMPLETED:
                return None
            return follow_up(session) if follow_up is not None else session.create_response()
        except RealtimeError as ended:
            logger.info("calls are left unanswered: %s", type(ended).__name__)
            return None
        finally:
            for task in running.values():
                task.cancel()


async def _stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting)


def _arguments(function: Callable[..., Any], name: str) -> type[msgspec.Struct]:
    """A struct with a field for each parameter."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise LocalProtocolError(
                f"tool {name!r}: {parameter} cannot be given by its name, as the model does"
            )
        if parameter.name not in hints:
            raise LocalProtocolError(
                f"tool {name!r}: parameter {parameter.name!r} has no type hint"
            )
        hint, default = _described(hints[parameter.name]), parameter.default
        required = default is parameter.empty
        fields.append((parameter.name, hint) if required else (parameter.name, hint, default))
    try:
        return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    except TypeError as wrong:
        raise LocalProtocolError(f"tool {name!r}: {wrong}") from wrong


def _described(hint: Any) -> Any:
    """The hint, with plain strings of an `Annotated` as descriptions."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *notes = get_args(hint)
    for note in notes:
        kind = Annotated[kind, msgspec.Meta(description=note) if isinstance(note, str) else note]
    return kind


def _parameters(arguments: type[msgspec.Struct], name: str) -> Mapping[str, Any]:
    try:
        _, components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    except TypeError as wrong:
        raise LocalProtocolError(f"tool {name!r}: {wrong}") from wrong
    schema = dict(components.pop(arguments.__name__))
    schema.pop("title", None)
    return {**schema, "$defs": components} if components else schema
