"""When a function call may be run (I8).

P-61: the arguments of a call that was cut short are cut short too. Only the item's own status
vouches for them; where a server leaves it out, the response's does.
"""

from antiphon.protocol.effects import CallReady, Effects
from antiphon.protocol.response import Response
from antiphon.wire.items import Item, ResponseResource

__all__ = ["calls_at_done", "note_call"]


def note_call(response: Response, item: Item, effects: Effects) -> None:
    """An item of a live response is done."""
    if item.type != "function_call":
        return
    if item.status == "completed":
        _hand_out(response, item, effects)
    elif not item.status:
        response.held_calls.append(item)


def calls_at_done(response: Response, resource: ResponseResource, effects: Effects) -> None:
    """A live response is done: hand out what its items alone did not vouch for."""
    if resource.status != "completed":
        return
    for item in [*response.held_calls, *(resource.output or ())]:
        if item.type == "function_call" and (item.status == "completed" or not item.status):
            _hand_out(response, item, effects)


def _hand_out(response: Response, item: Item, effects: Effects) -> None:
    call = item.call_id or item.id or ""
    if call not in response.handed_calls:
        response.handed_calls.add(call)
        effects.append(CallReady(response, item))
