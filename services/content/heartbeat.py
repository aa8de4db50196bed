"""Telling every edge that this process judges (I/O): while none does, edge does not wait for verdicts.

Owns: one small message on the fan-out exchange every two seconds, sent only while messages can really be judged.
"""

import asyncio
import json
import time
from collections.abc import Callable

from services.content.conversation import PublishPort
from shared.broker.publish import PublishError
from shared.broker.topology import Exchange

INTERVAL_S = 2.0
HEARTBEAT_TYPE = "gatepost.heartbeat.v1"


async def beat_for_ever(publisher: PublishPort, said_key: str, can_judge: Callable[[], bool]) -> None:
    """Send heartbeats until cancelled."""
    while True:
        if can_judge():
            body = json.dumps({"key": said_key, "at": time.time()}).encode()
            try:
                await publisher.publish(
                    Exchange.HEARTBEAT.value,
                    "",
                    body,
                    message_type=HEARTBEAT_TYPE,
                    content_type="application/json",
                    persistent=False,
                    deadline_s=INTERVAL_S,
                )
            except PublishError:
                # No edge listens, or the broker is away: the link says so, and the next beat tries again.
                pass
        await asyncio.sleep(INTERVAL_S)
