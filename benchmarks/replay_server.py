"""A Realtime server that replays prepared events as fast, or as evenly, as asked.

Run by the harness in its own process on its own core, with the plan as JSON in argv[1]. It
prints one JSON line with its port; told `go` on standard input it replays, and prints what it
sent; told `stop`, it prints what it received and ends. It knows one endpoint, answers the few
client events that clients wait for, and starts responses by itself, as a server with turn
detection does, so that every client gets the same input.
"""

import base64
import binascii
import hashlib
import json
import os
import select
import socket
import ssl
import sys
import time
from bisect import bisect_right
from collections import deque

from replay import Group, text_frame

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_READ = 1 << 18
_IOV = 64  # frames handed to the kernel in one call when flooding
_QUIET_NS = 20_000_000  # an interruption is over this long after its last cancel


def _event(kind: str, **fields: object) -> bytes:
    event = {"type": kind, "event_id": "event_bench", **fields}
    frame: bytes = text_frame(json.dumps(event, separators=(",", ":")).encode())
    return frame


class Connection:
    """One client: its socket, what it sent that is not yet parsed, what waits to be sent."""

    def __init__(self, sock: socket.socket, number: int, epoll: select.epoll) -> None:
        self.sock = sock
        self.number = number
        self.epoll = epoll
        self.inbox = bytearray()
        self.upgraded = False
        self.backlog: deque[bytes] = deque()
        self.blocked = False  # the socket takes nothing more; waiting for EPOLLOUT
        self.group: Group | None = None
        self.rounds_left = 0
        self.next_tag = 0
        self.position = 0  # frames sent of this round; bytes, when flooding

    def frames(self) -> list[tuple[int, bytes]]:
        """Take the complete frames out of the inbox, unmasked."""
        out = []
        inbox = self.inbox
        start = 0
        while len(inbox) - start >= 6:
            size, head = inbox[start + 1] & 0x7F, 2
            if size == 126:
                size, head = int.from_bytes(inbox[start + 2 : start + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(inbox[start + 2 : start + 10], "big"), 10
            end = start + head + 4 + size
            if len(inbox) < end:
                break
            mask = bytes(inbox[start + head : start + head + 4])
            body = bytes(inbox[start + head + 4 : end])
            key = (mask * (size // 4 + 1))[:size]
            plain = int.from_bytes(body, "big") ^ int.from_bytes(key, "big")
            out.append((inbox[start] & 0x0F, plain.to_bytes(size, "big")))
            start = end
        del inbox[:start]
        return out

    def write(self, data: bytes | memoryview) -> None:
        """Send now, or keep a copy of what the socket does not take."""
        if self.backlog:
            self.backlog.append(bytes(data))
            return
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        if sent < len(data):
            self.backlog.append(bytes(data[sent:]))
            self.block()

    def block(self) -> None:
        if not self.blocked:
            self.blocked = True
            self.epoll.modify(self.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while self.backlog:
            data = self.backlog[0]
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            if sent < len(data):
                self.backlog[0] = data[sent:]
                return
            self.backlog.popleft()
        self.blocked = False
        self.epoll.modify(self.sock.fileno(), select.EPOLLIN)


class Server:
    def __init__(self, plan: dict[str, object]) -> None:
        self.mode = str(plan.get("mode", "idle"))  # flood, paced, saturated, interrupt, idle
        self.rate = float(plan.get("rate", 0))  # type: ignore[arg-type]
        self.responses = int(plan.get("responses", 0))  # type: ignore[call-overload]
        self.deltas = int(plan.get("deltas", 50))  # type: ignore[call-overload]
        self.in_flight = int(plan.get("in_flight", 1))  # type: ignore[call-overload]
        self.staggered = bool(plan.get("staggered", False))
        self.loaded = bool(plan.get("loaded", False))  # interrupt: deltas flow meanwhile
        self.context = None
        if plan.get("tls"):
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(str(plan["tls"]))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.epoll.register(0, select.EPOLLIN)
        self.by_fd: dict[int, Connection] = {}
        self.connections: list[Connection] = []
        self.events = self.sent_deltas = 0
        self.audio_bytes = self.appends = self.client_frames = 0
        self.cancels: list[list[tuple[int, bool]]] = []  # per round: when read, whether by id
        self.running = True
        self.started = False

    # -- connections -----------------------------------------------------------------------

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            sock.settimeout(10)
            sock = self.context.wrap_socket(sock, server_side=True)
        sock.setblocking(False)
        connection = Connection(sock, len(self.connections), self.epoll)
        self.connections.append(connection)
        self.by_fd[sock.fileno()] = connection
        self.epoll.register(sock, select.EPOLLIN)

    def drop(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        if self.by_fd.pop(fd, None):
            self.epoll.unregister(fd)
        connection.sock.close()
        connection.rounds_left = 0
        connection.backlog.clear()

    def receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
            return
        now = time.monotonic_ns()
        connection.inbox += data
        if not connection.upgraded:
            self.upgrade(connection)
        for opcode, payload in connection.frames():
            if opcode == 8:
                connection.write(b"\x88\x02\x03\xe8")
            elif opcode == 9:
                connection.write(bytes([0x8A, len(payload)]) + payload)
            elif opcode in (1, 2):
                self.client_frames += 1
                self.client_event(connection, payload, now)

    def upgrade(self, connection: Connection) -> None:
        end = connection.inbox.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(connection.inbox[:end]).split(b"\r\n")
        del connection.inbox[: end + 4]
        fields = {
            k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in head)
        }
        digest = hashlib.sha1(fields[b"sec-websocket-key"] + _GUID).digest()
        connection.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        connection.upgraded = True
        session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{connection.number}",
        }
        connection.write(_event("session.created", session=session))

    def client_event(self, connection: Connection, payload: bytes, now: int) -> None:
        # Some clients name the type before the audio, some after it.
        if b"input_audio_buffer.append" in payload[:100] + payload[-100:]:
            event = json.loads(payload)
            self.appends += 1
            self.audio_bytes += len(binascii.a2b_base64(event["audio"]))
            return
        if b'"response.cancel"' in payload and self.cancels:
            self.cancels[-1].append((now, b'"response_id"' in payload))
            return
        event = json.loads(payload)
        kind = event.get("type")
        if kind == "session.update":
            session = {"object": "realtime.session", "id": f"sess_{connection.number}"}
            session.update(event.get("session", {}))
            connection.write(_event("session.updated", session=session))
        elif kind == "conversation.item.create":
            item = {"id": "item_bench", "status": "completed", **event["item"]}
            for suffix in ("added", "done"):
                connection.write(
                    _event(f"conversation.item.{suffix}", previous_item_id=None, item=item)
                )

    # -- the loop --------------------------------------------------------------------------

    def waits_to_send(self) -> bool:
        return self.running and any(one.backlog for one in self.by_fd.values())

    def poll(self, timeout: float) -> None:
        for fd, mask in self.epoll.poll(timeout):
            if fd == self.listener.fileno():
                self.accept()
            elif fd == 0:
                self.command(os.read(0, 1024))
            elif fd in self.by_fd:
                connection = self.by_fd[fd]
                if mask & select.EPOLLOUT:
                    connection.flush()
                if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    self.receive(connection)

    def command(self, words: bytes) -> None:
        self.started = b"go" in words
        if b"stop" in words or not words:
            self.running = False

    def run(self) -> None:
        scheme = "wss" if self.context else "ws"
        port = self.listener.getsockname()[1]
        say(url=f"{scheme}://localhost:{port}/v1/realtime")
        while self.running:
            self.poll(0.1)
            if self.started:
                self.started = False
                self.prepare()
                begin, waited = time.monotonic(), waited_s()
                getattr(self, self.mode)()
                while self.waits_to_send():
                    self.poll(0.05)
                say(
                    events=self.events,
                    deltas=self.sent_deltas,
                    wall_s=time.monotonic() - begin,
                    waited_s=waited_s() - waited,
                )
        say(
            appends=self.appends,
            audio_bytes=self.audio_bytes,
            client_frames=self.client_frames,
            cancels=self.cancels,
        )

    def prepare(self) -> None:
        live = list(self.by_fd.values())
        for order, connection in enumerate(live):
            connection.group = Group(self.deltas, self.in_flight, self.staggered)
            connection.rounds_left = self.responses // self.in_flight
            connection.next_tag = order * self.responses
            connection.group.rewrite(connection.next_tag)

    def end_of_round(self, connection: Connection) -> None:
        group = connection.group
        assert group is not None
        self.events += len(group.views)
        self.sent_deltas += len(group.middle)
        connection.position = 0
        connection.rounds_left -= 1
        connection.next_tag += self.in_flight
        if connection.rounds_left:
            group.rewrite(connection.next_tag)

    # -- ways of replaying -----------------------------------------------------------------

    def idle(self) -> None:
        """Send nothing more."""

    def flood(self) -> None:
        """Hand the kernel many frames at a time, as fast as it takes them."""
        while self.running and any(c.rounds_left for c in self.by_fd.values()):
            for connection in list(self.by_fd.values()):
                if connection.rounds_left and not connection.blocked:
                    self.flood_step(connection)
            self.poll(0.05 if all(c.blocked for c in self.by_fd.values()) else 0)

    def flood_step(self, connection: Connection) -> None:
        group = connection.group
        assert group is not None
        first = bisect_right(group.starts, connection.position) - 1
        frames = group.views[first : first + _IOV]
        skip = connection.position - group.starts[first]
        if skip:
            frames[0] = frames[0][skip:]
        try:
            if self.context:
                connection.position += connection.sock.send(b"".join(frames))
            else:
                connection.position += connection.sock.sendmsg(frames)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            connection.block()
        if connection.position == group.starts[-1]:
            self.end_of_round(connection)

    def one_frame(self, connection: Connection) -> None:
        group = connection.group
        assert group is not None
        connection.write(group.stamp(connection.position))
        connection.position += 1
        if connection.position == len(group.views):
            self.end_of_round(connection)

    def paced(self) -> None:
        """Send each frame by itself, evenly over time, in turn over the sessions."""
        live = list(self.by_fd.values())
        begin = time.monotonic()
        due = 0
        while self.running and any(c.rounds_left for c in live):
            behind = min(int((time.monotonic() - begin) * self.rate) - due, 32)
            for _ in range(behind):
                connection = live[due % len(live)]
                due += 1
                if connection.rounds_left:
                    self.one_frame(connection)
            self.poll(0)

    def saturated(self) -> None:
        """Send each frame by itself, in turn over the sessions, as fast as they take them."""
        while self.running and any(c.rounds_left for c in self.by_fd.values()):
            for connection in list(self.by_fd.values()):
                if connection.rounds_left and not connection.blocked:
                    self.one_frame(connection)
            self.poll(0.05 if all(c.blocked for c in self.by_fd.values()) else 0)

    def interrupt(self) -> None:
        """Start a round of responses; end it when the client has cancelled; start the next."""
        connection = next(iter(self.by_fd.values()))
        group = connection.group
        assert group is not None
        while self.running and connection.rounds_left:
            self.cancels.append([])
            for view in group.opening:
                connection.write(view)
            self.interrupt_round(connection, group)
            for slot in range(self.in_flight):
                rid = f"resp_{connection.next_tag + slot:08d}"
                details = {"type": "cancelled", "reason": "client_cancelled"}
                response: dict[str, object] = {
                    "object": "realtime.response",
                    "id": rid,
                    "status": "cancelled",
                }
                response |= {"status_details": details, "output": [], "usage": None}
                response |= {"conversation_id": "conv_bench", "metadata": None}
                connection.write(_event("response.done", response=response))
            until = time.monotonic() + 0.02
            while time.monotonic() < until or connection.backlog:
                self.poll(0.002)
            self.end_of_round(connection)

    def interrupt_round(self, connection: Connection, group: Group) -> None:
        number = 0
        patience = time.monotonic() + 2
        while self.running and connection.rounds_left and time.monotonic() < patience:
            cancels = self.cancels[-1]
            if len(cancels) >= self.in_flight:
                return
            if cancels and time.monotonic_ns() - cancels[-1][0] > _QUIET_NS:
                return
            if self.loaded and not connection.blocked:
                connection.write(group.middle[number % len(group.middle)])
                number += 1
            self.poll(0)


def waited_s() -> float:
    """Return how long this process has waited for its core."""
    try:
        with open("/proc/self/schedstat") as schedstat:
            return int(schedstat.read().split()[1]) / 1e9
    except OSError:
        return 0.0


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    plan = json.loads(sys.argv[1])
    if "core" in plan:
        os.sched_setaffinity(0, {plan["core"]})
    Server(plan).run()
