"""One helper process, as its content worker sees it (I/O).

Input: a message's bytes. Output: its inspection. A message is written in pieces, so that the loop is not held.
On failure: `Overrun` names the limit that the message went beyond, after which this process is of no use; StartFailed
where there is none; ExaminationFailed where the helper says that it met a defect.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from enum import StrEnum
from pathlib import Path

from services.content.isolation.protocol import (
    ANSWER_HEAD,
    FAILED,
    MEMORY_EXIT,
    READY,
    ProtocolError,
    answer_size,
    decode,
    request_head,
)
from services.content.mime.inspection import Inspection
from services.content.settings import IsolationSettings
from shared.policy.content import InspectionRules

_MODULE = "services.content.isolation.worker"
_ROOT = Path(__file__).parents[3]
_PIECE_BYTES = 1 << 18
_START_S = 20.0
_WALL_FACTOR = 2


class Limit(StrEnum):
    """What ended a helper."""

    CPU = "cpu"
    MEMORY = "memory"
    TIME = "time"
    DIED = "died"


class Overrun(Exception):
    """A message went beyond a limit, and its process is gone."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit.value)
        self.limit = limit


class StartFailed(Exception):
    """No helper could be started."""


class ExaminationFailed(Exception):
    """A helper met a defect; what the message is, nobody knows."""


class Process:
    """A helper that has started. pid: its number."""

    def __init__(self, child: asyncio.subprocess.Process, connection: socket.socket, cpu_s: int) -> None:
        self.pid = child.pid
        self._child = child
        self._connection = connection
        self._wall_s = float(cpu_s * _WALL_FACTOR)

    @classmethod
    async def start(cls, settings: IsolationSettings) -> "Process":
        """Start a helper and wait until it can work. Raises StartFailed."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                child = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-sP", "-m", _MODULE, str(theirs.fileno()), str(os.getpid())),
                    *(str(settings.cpu_s), str(settings.memory_mb)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Nothing of ours, such as a password, and one arena, since many would count as memory.
                    env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise StartFailed(error.strerror or "it cannot be executed") from None
        except BaseException:
            ours.close()
            raise
        process = cls(child, ours, settings.cpu_s)
        try:
            async with asyncio.timeout(_START_S):
                if await process._answer() != READY:
                    raise StartFailed("it said something else than that it is ready")
        except (OSError, ProtocolError) as error:
            await process.end()
            raise StartFailed(f"it did not come up ({type(error).__name__})") from None
        except BaseException:
            await process.end()
            raise
        return process

    async def examine(self, data: bytes, rules: InspectionRules) -> Inspection:
        """Return what is in a message. Raises Overrun, ExaminationFailed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._wall_s):
                await loop.sock_sendall(self._connection, request_head(rules, len(data)))
                view = memoryview(data)
                for place in range(0, len(data), _PIECE_BYTES):
                    await loop.sock_sendall(self._connection, view[place : place + _PIECE_BYTES])
                body = await self._answer()
        except TimeoutError:
            await self.end()
            raise Overrun(Limit.TIME) from None
        except (OSError, ProtocolError):
            raise Overrun(await self._cause()) from None
        if body == FAILED:
            raise ExaminationFailed
        try:
            return decode(body)
        except ProtocolError:
            raise Overrun(await self._cause()) from None

    async def wait(self) -> None:
        """Return when the process has ended."""
        await self._child.wait()

    async def end(self) -> None:
        """End the process at once, whatever it does, even if it is stopped."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()

    async def _answer(self) -> bytes:
        return await self._read(answer_size(await self._read(ANSWER_HEAD.size)))

    async def _read(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        pieces = bytearray()
        while len(pieces) < size:
            piece = await loop.sock_recv(self._connection, min(size - len(pieces), _PIECE_BYTES))
            if not piece:
                raise ConnectionResetError
            pieces += piece
        return bytes(pieces)

    async def _cause(self) -> Limit:
        """Return why a process has closed its socket or talks nonsense. If it still lives it may not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._child.wait()
        status = self._child.returncode
        await self.end()
        if status in (-signal.SIGXCPU, -signal.SIGPROF):
            return Limit.CPU
        return Limit.MEMORY if status == MEMORY_EXIT else Limit.DIED
