"""The part of a LiveKit server that hands jobs to workers, and nothing else of it.

Workers dial `/agent` and register; each job is offered to one of them, and assigned when it says
that it is available. Registration, availability, assignment and status are the real messages.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from livekit.protocol import agent, models

__all__ = ["Dispatch", "Worker"]

_OVER = (agent.JS_SUCCESS, agent.JS_FAILED, agent.JS_CANCELLED)


@dataclass
class Worker:
    """One registered worker."""

    id: str
    socket: web.WebSocketResponse
    load: float = 0.0
    jobs: list[str] = field(default_factory=list)


class Dispatch:
    """A dispatch peer.

    Attributes:
        workers: those that have registered.
        ended: job id to the status that it ended with.
    """

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.ended: dict[str, int] = {}
        self.changed = asyncio.Event()
        self._available: dict[str, asyncio.Future[bool]] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> "Dispatch":
        app = web.Application()
        app.router.add_get("/agent", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def assign(self, job_id: str, metadata: str = "") -> Worker:
        """Offer a job to the worker with the fewest, and assign it to the first that takes it."""
        job = agent.Job(
            id=job_id,
            type=agent.JT_ROOM,
            room=models.Room(sid=f"RM_{job_id}", name=f"room-{job_id}"),
            metadata=metadata,
        )
        for worker in sorted(self.workers, key=lambda one: len(one.jobs)):
            answer = self._available[job_id] = asyncio.get_running_loop().create_future()
            worker.jobs.append(job_id)
            offer = agent.ServerMessage(availability=agent.AvailabilityRequest(job=job))
            await worker.socket.send_bytes(offer.SerializeToString())
            if await asyncio.wait_for(answer, 20):
                assignment = agent.JobAssignment(job=job, url=self.url, token=_token(job_id))
                message = agent.ServerMessage(assignment=assignment)
                await worker.socket.send_bytes(message.SerializeToString())
                return worker
            worker.jobs.remove(job_id)
        raise AssertionError(f"no worker took {job_id}")

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        worker: Worker | None = None
        async for frame in socket:
            if frame.type is not WSMsgType.BINARY:
                continue
            message = agent.WorkerMessage()
            message.ParseFromString(frame.data)
            if message.HasField("register"):
                worker = Worker(f"AW_{len(self.workers)}", socket)
                self.workers.append(worker)
                reply = agent.ServerMessage(
                    register=agent.RegisterWorkerResponse(
                        worker_id=worker.id, server_info=models.ServerInfo(version="test")
                    )
                )
                await socket.send_bytes(reply.SerializeToString())
            elif worker is not None:
                self._take(worker, message)
            self.changed.set()
        return socket

    def _take(self, worker: Worker, message: Any) -> None:
        if message.HasField("availability"):
            answer = self._available[message.availability.job_id]
            if not answer.done():
                answer.set_result(message.availability.available)
        elif message.HasField("update_worker"):
            worker.load = message.update_worker.load
        elif message.HasField("update_job") and message.update_job.status in _OVER:
            self.ended[message.update_job.job_id] = message.update_job.status


def _token(job_id: str) -> str:
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=f"room-{job_id}", agent=True)
    token = api.AccessToken("key", "secret" * 8).with_identity(f"agent-{job_id}")
    return token.with_grants(grants).to_jwt()
