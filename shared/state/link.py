"""Whether Redis can be used (I/O).

Owns: the state `is_up`. One call without an answer in time takes Redis away: calls then fail at once, without touching
the network, until `connect` has succeeded. So an outage costs the calls that were under way one timeout, and later ones
nothing.
Output: log lines `shared-state-lost` and `shared-state-back`, once per change; the metric `gatepost_shared_state_up`.
On failure: StateUnavailable.
"""

import asyncio
import hashlib
from collections.abc import Sequence

import structlog
from prometheus_client import Gauge
from redis.exceptions import NoScriptError, RedisError, ResponseError

from shared.settings import RedisSettings
from shared.state.port import StateUnavailable
from shared.state.wire import Answer, Wire, Word

_log = structlog.get_logger()
_up = Gauge(
    "gatepost_shared_state_up",
    "Whether Redis can be reached; while not, each process counts alone",
    ["server"],
    multiprocess_mode="livemin",
)


class Script:
    """A script, and the name under which Redis keeps it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """Redis, or the knowledge that it is away."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._server = f"{settings.host}:{settings.port}"
        self._gauge = _up.labels(self._server)
        self._wire: Wire | None = None
        self._was_up: bool | None = None
        # Set from when Redis was lost until it is back.
        self.lost = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether calls can be made."""
        return self._wire is not None

    async def connect(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> None:
        """Reach for Redis; it is up once it has run a script. Raises StateUnavailable."""
        wire = Wire(self._settings, self._lose)
        try:
            await wire.open()
            answer = await self._run(wire, script, keys, arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(wire, error)
            raise self._unavailable(error) from error
        except BaseException:
            wire.abandon()
            raise
        # A replica, or one whose memory is full, answers, but does not do what it is for.
        self._checked(wire, answer)
        self._wire = wire
        self._note_up()

    async def close(self) -> None:
        """Close the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def call(self, *words: Word) -> Answer:
        """Return Redis's answer to a command. Raises StateUnavailable."""
        wire = self._wire
        if wire is None:
            raise StateUnavailable(f"Redis at {self._server} is away")
        try:
            return self._checked(wire, await wire.ask(words))
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(wire, error)
            raise self._unavailable(error) from error

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Answer:
        """Return what a script returns. Raises StateUnavailable."""
        wire = self._wire
        if wire is None:
            raise StateUnavailable(f"Redis at {self._server} is away")
        try:
            return self._checked(wire, await self._run(wire, script, keys, arguments))
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(wire, error)
            raise self._unavailable(error) from error

    @staticmethod
    async def _run(wire: Wire, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Answer:
        """Run a script by its name, or, where Redis does not have it, by its text, which Redis then keeps."""
        answer = await wire.ask(["EVALSHA", script.name, len(keys), *keys, *arguments])
        if isinstance(answer, NoScriptError):
            answer = await wire.ask(["EVAL", script.text, len(keys), *keys, *arguments])
        return answer

    def _checked(self, wire: Wire, answer: Answer) -> Answer:
        if isinstance(answer, ResponseError):
            self._lose(wire, answer)
            raise self._unavailable(answer)
        return answer

    def _unavailable(self, error: Exception) -> StateUnavailable:
        return StateUnavailable(f"Redis at {self._server}: {error or type(error).__name__}")

    def _lose(self, wire: Wire, error: Exception) -> None:
        wire.abandon()
        if self._wire is not None and wire is not self._wire:
            return  # an older one; Redis is back by now
        self._wire = None
        if self._was_up is not False:
            _log.warning("shared-state-lost", server=self._server, error=f"{type(error).__name__}: {error}")
        self._was_up = False
        self._gauge.set(0)
        self.lost.set()

    def _note_up(self) -> None:
        if self._was_up is False:
            _log.info("shared-state-back", server=self._server)
        self._was_up = True
        self._gauge.set(1)
        self.lost.clear()
