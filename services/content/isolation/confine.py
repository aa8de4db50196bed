"""What a helper process gives up before it sees a message (I/O on itself alone).

It may not write a file, start a process, open a socket, have more than a few open files, grow beyond its memory or
leave a core dump, and it dies with its parent. CPU time is allowed anew for each message.
On failure: OSError; a helper that cannot be confined must not work.
"""

import ctypes
import math
import os
import resource
import signal
import sys

from services.content.isolation.syscalls import give_up_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 32
_NICENESS = 5


def confine(parent: int, memory_mb: int) -> None:
    """Confine this process. parent: the process that it must not outlive."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        # It died before we could ask to be told.
        sys.exit(0)
    # Whoever ends all processes of the service, such as systemd, ends the worker first: it may need us until then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_AS, memory_mb * 1_000_000),
    ):
        resource.setrlimit(limit, (most, most))
    give_up_calls(libc)


def allow_cpu(seconds: int) -> None:
    """Let this process use so many seconds of CPU time from now on; then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The timer is exact, the limit has whole seconds and no library can take it back.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    most = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def stop_cpu_clock() -> None:
    """A message is done; what follows is not its time."""
    signal.setitimer(signal.ITIMER_PROF, 0)
