"""A helper process, run as `python -m services.content.isolation.worker` by its content worker and nobody else.

Input: a socket on which messages come one at a time. Output: what is in each of them. All parsers of containers and
documents run here, within limits.
On failure: it ends, and its parent draws the conclusion from how it ended.
"""

import logging
import os
import socket
import sys

from services.content.isolation.confine import allow_cpu, confine, stop_cpu_clock
from services.content.isolation.protocol import (
    FAILED,
    MAX_RULES_BYTES,
    MEMORY_EXIT,
    READY,
    REQUEST_HEAD,
    answer,
    encode,
)
from services.content.mime.caps import scan_caps
from services.content.mime.containers import ContainerOpener
from services.content.mime.inspection import Fault, FaultKind, Inspection
from services.content.mime.opener import Budget
from services.content.mime.walk import inspect
from shared.auth.message import split_message
from shared.policy.content import InspectionRules

_PIECE_BYTES = 1 << 20


class _Closed(Exception):
    """The parent needs us no longer."""


def main() -> None:
    """Work until the parent closes the socket."""
    descriptor, parent, cpu_s, memory_mb = map(int, sys.argv[1:])
    _close_all_but(descriptor)
    _be_silent()
    confine(parent, memory_mb)
    with socket.socket(fileno=descriptor) as connection:
        connection.sendall(answer(READY))
        try:
            while True:
                connection.sendall(_answer_one(connection, cpu_s))
        except (_Closed, ConnectionError):
            pass


def _answer_one(connection: socket.socket, cpu_s: int) -> bytes:
    rules_size, size = REQUEST_HEAD.unpack(_read(connection, REQUEST_HEAD.size))
    if rules_size > MAX_RULES_BYTES:
        raise _Closed
    rules = InspectionRules.model_validate_json(_read(connection, rules_size))
    allow_cpu(cpu_s)
    try:
        return answer(encode(_examine(_read(connection, size), rules)))
    except MemoryError:
        os._exit(MEMORY_EXIT)
    except _Closed:
        raise
    except Exception:  # a defect of ours or of a library; the parent holds the message
        return answer(FAILED)
    finally:
        stop_cpu_clock()


def _examine(data: bytes, rules: InspectionRules) -> Inspection:
    message = split_message(data)
    caps = scan_caps(data, message)
    if caps.beyond:
        return Inspection(caps.parts, faults=(Fault(FaultKind.EXCEEDED, caps.beyond),))
    del data
    return inspect(message, ContainerOpener(Budget.of(rules)))


def _read(connection: socket.socket, size: int) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    place = 0
    while place < size:
        count = connection.recv_into(view[place : place + _PIECE_BYTES])
        if not count:
            raise _Closed
        place += count
    return bytes(buffer)


def _close_all_but(descriptor: int) -> None:
    """What the parent has open is not ours, whatever the way by which we were started let through."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 1 << 20)


def _be_silent() -> None:
    """Libraries print and log what they see in mail; nobody shall read that on a terminal or in a log."""
    logging.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


if __name__ == "__main__":
    main()
