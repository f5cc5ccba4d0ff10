"""Posts the webhook that tells of a telephone call, and posts it again while nobody took it."""

import asyncio
import logging
import time
import uuid

from antiphon.emulator.engine.call import CallState
from antiphon.emulator.running.emulated_call import EmulatedCall
from antiphon.emulator.running.webhook import body_of, signed
from antiphon.exceptions import MissingDependency

__all__ = ["Courier"]

_logger = logging.getLogger("antiphon.emulator")
# P-360 speaks of days; here a call that nobody takes is told this often, after growing pauses.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
PATIENCE_S = 10.0


class Courier:
    """Delivers webhooks to one address.

    Args:
        url: where; None for nowhere.
        secret: `whsec_…`, with which they are signed.
    """

    def __init__(self, url: str | None, secret: str) -> None:
        self.url = url
        self.secret = secret
        self._tasks: set[asyncio.Task[None]] = set()

    async def tell(self, call: EmulatedCall, deliveries: int = 1) -> None:
        """Post the event; return when each delivery was answered, or was not.

        What was answered is in `call.webhook_statuses`. While it is no success (a redirect is none)
        and the call rings, it is posted again in the background.

        Args:
            call: the call that rings.
            deliveries: how often, as duplicates happen; all have one id.

        Raises:
            MissingDependency: aiohttp or standardwebhooks is not installed.
        """
        if self.url is None:
            return
        event_id = f"evt_{uuid.uuid4().hex}"
        body = body_of(event_id, call.id, call.headers, int(time.time()))
        webhook_id = f"wh_{uuid.uuid4().hex}"
        for _ in range(deliveries):
            await self._post(call, webhook_id, body)
        if not call.webhook_taken.is_set():
            task = asyncio.create_task(self._again(call, webhook_id, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Post nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _again(self, call: EmulatedCall, webhook_id: str, body: bytes) -> None:
        for pause in PAUSES_S:
            await asyncio.sleep(pause)
            if call.state is not CallState.RINGING or call.webhook_taken.is_set():
                return
            await self._post(call, webhook_id, body)

    async def _post(self, call: EmulatedCall, webhook_id: str, body: bytes) -> None:
        try:
            import aiohttp
        except ImportError as error:
            raise MissingDependency(
                "webhooks need aiohttp: pip install 'antiphon[calls]'"
            ) from error
        assert self.url is not None, "there is nowhere to post to"
        headers = signed(self.secret, webhook_id, time.time(), body)
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as reply,
            ):
                call.webhook_statuses.append(reply.status)
                if 200 <= reply.status < 300:
                    call.webhook_taken.set()
        except (aiohttp.ClientError, TimeoutError) as error:
            _logger.warning("webhook not delivered", extra={"kind": type(error).__name__})
            call.webhook_statuses.append(None)
