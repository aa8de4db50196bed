"""Rules of a helper process that hostile bytes have taken over: what the kernel refuses it."""

import asyncio
import json
import platform
import sys
from pathlib import Path

import pytest

_TRIES = """
import ctypes, json, os, socket, sys
from services.content.isolation.confine import confine

ours, theirs = socket.socketpair()
confine(os.getppid(), 512)
folder = sys.argv[1]
kept = folder + "/kept"
tries = {
    "open a socket": lambda: socket.socket(),
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "start a process": lambda: os.fork() or os._exit(0),
    "create a file": lambda: os.open(folder + "/new", os.O_WRONLY | os.O_CREAT),
    "open a file to write": lambda: os.open(kept, os.O_RDWR),
    "empty a file": lambda: os.truncate(kept, 0),
    "delete a file": lambda: os.unlink(kept),
    "rename a file": lambda: os.rename(kept, folder + "/other"),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "read a file": lambda: open(kept).read(),
    "answer": lambda: ours.sendall(b"x") or theirs.recv(1),
}
done = []
for name, call in tries.items():
    try:
        call()
        done.append(name)
    except OSError:
        pass
print(json.dumps(done))
"""


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="the calls of this processor are not known")
async def test_it_can_read_and_answer_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    command = (sys.executable, "-c", _TRIES, str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert json.loads(out) == ["read a file", "answer"]
    assert (tmp_path / "kept").read_text() == "kept"
