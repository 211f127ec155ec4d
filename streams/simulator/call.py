"""One call: its sockets from the first handshake to the close."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from streams.simulator import wire
from streams.simulator.events import Reporter
from streams.simulator.pacing import Pace
from streams.simulator.plan import Plan, PlannedCall
from streams.simulator.report import GOOD_CLOSE, CallReport, VoiceReport
from streams.simulator.scenario.packets import PACKET_US
from streams.simulator.scenario.schedule import Announce, Disconnect, Event, Press, Reconnect, Say

HANDSHAKE_SECONDS = 10
CLOSE_SECONDS = 30  # a server still reads audio sent faster than real time, and answers late
HURRIED_CLOSE_SECONDS = 5  # after an interruption
RETRY_SECONDS = 0.25  # between two attempts at an address that does not answer
RESTART_CLOSE = 1012


class Refused(Exception):
    """The handshake was not answered with 101. The message is for people."""


class Unreachable(Exception):
    """The address does not answer, or not in time."""


class _ConnectOnce(connect):
    """Follows no redirect: the handshake has secrets, and a canary call that is recorded elsewhere
    proves nothing about the address that ACS uses.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class CallPlayer:
    """Plays one call of a plan and fills its `report`; a call that fails raises nothing."""

    def __init__(self, plan: Plan, call: PlannedCall) -> None:
        self.plan = plan
        self.call = call
        self.metadata = call.script.metadata
        self.report = CallReport(
            call.connection_id,
            call.correlation_id,
            call.subscription_id,
            self.metadata.sample_rate,
            [VoiceReport(voice) for voice in call.script.voices],
        )
        self._events = Reporter(plan, call)
        self._socket: ClientConnection | None = None
        self._away_until_us = 0  # of the call: packets before that were lost in a restart

    async def play(self, run: Pace) -> None:
        """Plays from handshake to close; `run` is the pace of the whole run. When cancelled, it
        closes its socket with 1000.
        """
        began = asyncio.get_running_loop().time()
        try:
            await run.until(self.call.begin_us)
            began = asyncio.get_running_loop().time()
            await self._play(run)
        except Refused as error:
            self.report.refused += 1
            self.report.problem = str(error)
        except Unreachable as error:
            self.report.problem = str(error)
        except ConnectionClosed:
            self._note_close()
            self.report.problem = f"the server closed the socket: {self._close_words()}"
        except asyncio.CancelledError:
            self.report.interrupted = True
            self.report.problem = "interrupted"
            await self._close(HURRIED_CLOSE_SECONDS)
            raise
        finally:
            self.report.seconds = asyncio.get_running_loop().time() - began
            self.report.playing = False
            await self._events.ended()
            self.report.problem = self.report.problem or self._events.problem
            await asyncio.to_thread(self.report.finalize, hashed=self.plan.hashes)

    async def _play(self, run: Pace) -> None:
        await self._open(self.plan.wait_seconds)
        now = asyncio.get_running_loop().time()
        pace = run.starting(self.call.begin_us, now, PACKET_US)
        if self.plan.started_us is None:
            self.report.started_us = int((time.time() + (pace.origin - now)) * 1e6)
        else:
            self.report.started_us = self.plan.started_us + self.call.begin_us
        await self._send_all(self.call.script.events(self.report.started_us), pace)
        self.report.finished = True
        if not self.plan.drop:
            await self._close(CLOSE_SECONDS)
            return
        # breaks the TCP connection without a close, after all messages have arrived
        assert self._socket is not None, "a script that has been played has a socket"
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await (await self._socket.ping())
        except TimeoutError:
            self.report.problem = "the server answered no ping, so what it received is unknown"
        self._socket.transport.abort()
        await self._socket.wait_closed()
        self._socket = None
        self.report.dropped = True

    async def _send_all(self, events: Iterable[Event], pace: Pace) -> None:
        for event in events:
            lateness = await pace.until(event.at_us)
            if isinstance(event, Say) and event.at_us < self._away_until_us:
                continue
            self.report.latest_seconds = max(self.report.latest_seconds, lateness)
            try:
                await self._send_event(event)
            except ConnectionClosed:
                if not self._is_restarting:
                    raise
                await self._open_again()
                self._away_until_us = pace.position_us(asyncio.get_running_loop().time())

    async def _send_event(self, event: Event) -> None:
        match event:
            case Say(timestamp_us=timestamp_us, silent=silent):
                voice = self.report.voices[event.voice]
                raw_id, pcm = voice.voice.raw_id, voice.voice.sound.packet(event.number)
                if not self.plan.silent_flag:
                    silent = None
                elif silent is None:
                    silent = pcm.count(0) == len(pcm)
                await self._send(wire.audio_data(timestamp_us, raw_id, pcm, silent=silent))
                voice.add(event.number, pcm, copy=event.copy)
            case Press(tone=tone):
                await self._send(wire.dtmf_data(tone))
                self.report.dtmf += 1
            case Announce(metadata=metadata):
                self.metadata = metadata
                await self._announce()
            case Disconnect():
                await self._close(CLOSE_SECONDS)
            case Reconnect():
                await self._open(self.plan.wait_seconds)

    @property
    def _is_restarting(self) -> bool:
        """Whether the server has closed the socket to restart, and the plan is to wait for it."""
        closed_with = self._socket.close_code if self._socket else None
        return bool(self.plan.restart_seconds) and closed_with == RESTART_CLOSE

    async def _open_again(self) -> None:
        """Opens another socket for the call, like ACS. Raises `Refused` and `Unreachable` when the
        time is up: while a server restarts, a proxy in front of it refuses handshakes.
        """
        self._note_close()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self.plan.restart_seconds
        while True:
            try:
                await self._open(max(give_up_at - loop.time(), 0.0))
                break
            except Refused:
                if loop.time() >= give_up_at:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        self.report.restarts += 1

    async def _announce(self) -> None:
        await self._send(wire.audio_metadata(self.call.subscription_id, self.metadata))

    async def _send(self, message: str) -> None:
        assert self._socket is not None, "a script sends only while its socket is open"
        await self._socket.send(message)

    async def _open(self, wait_seconds: float) -> None:
        """Opens a socket and announces the audio. Raises `Refused` and `Unreachable`."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + wait_seconds
        while True:
            try:
                self._socket = await self._connect()
                break
            except Unreachable:
                if loop.time() >= give_up_at:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        self.report.sockets += 1
        self._events.started()
        await self._announce()

    async def _connect(self) -> ClientConnection:
        headers = list(self.plan.headers)
        if self.plan.name_calls:
            headers.append((wire.CONNECTION_ID_HEADER, self.call.connection_id))
            headers.append((wire.CORRELATION_ID_HEADER, self.call.correlation_id))
        if self.plan.signer is not None:
            headers.append(("Authorization", f"Bearer {self.plan.signer.token(int(time.time()))}"))
        try:
            return await _ConnectOnce(
                self.plan.address,
                additional_headers=headers,
                compression=None,
                proxy=None,  # ACS comes straight from the internet
                ping_interval=None,  # whether ACS pings is unknown
                open_timeout=HANDSHAKE_SECONDS,
                close_timeout=CLOSE_SECONDS,
            )
        except InvalidStatus as error:
            raise Refused(f"refused with HTTP {error.response.status_code}") from error
        except (InvalidHandshake, InvalidURI) as error:
            raise Refused(f"refused: {error}") from error
        except ConnectionClosed as error:
            raise Refused("refused: the connection was closed during the handshake") from error
        except TimeoutError as error:
            raise Unreachable(f"cannot connect: no answer within {HANDSHAKE_SECONDS} s") from error
        except OSError as error:
            raise Unreachable(f"cannot connect: {error.strerror or error}") from error

    async def _close(self, seconds: float) -> None:
        """Closes the socket with 1000, if one is open."""
        if self._socket is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()
            await self._socket.wait_closed()
        self.report.ended_by_restart = self._is_restarting  # nothing is left to send
        self._note_close()
        has_ended = self.report.close_code == GOOD_CLOSE or self.report.ended_by_restart
        if not has_ended and not self.report.problem:
            self.report.problem = f"the server closed the socket: {self._close_words()}"

    def _note_close(self) -> None:
        assert self._socket is not None, "only a socket that was open is closed"
        self.report.close_code = self._socket.close_code
        self.report.close_reason = self._socket.close_reason or ""
        self._socket = None

    def _close_words(self) -> str:
        return f"{self.report.close_code} {self.report.close_reason}".strip()
