"""System calls that a helper process gives up (I/O on itself alone): a filter of the kernel, seccomp.

Whatever a parser of hostile bytes is made to do, it opens no socket, starts no program, signals no process, and changes
no file. Standards: Linux seccomp(2), classic BPF.
On failure: False where the kernel or the processor is not one that is known here; the other limits hold all the same.
"""

import ctypes
import errno
import os
import platform
import struct

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE = 0x00050000 | errno.EPERM
# C libraries then try the older call.
_UNKNOWN = 0x00050000 | errno.ENOSYS
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Of struct seccomp_data: the number of the call, the processor, the lower half of the second and third argument.
_NUMBER, _PROCESSOR, _SECOND, _THIRD = 0, 4, 24, 32
# By processor: its name to the kernel, calls that are refused, the number of open (-1: none) and of openat.
_KNOWN = {
    "x86_64": (
        0xC000003E,
        (
            *(41, 42, 43, 46, 49, 50, 53, 288, 307),  # socket connect accept sendmsg bind listen socketpair
            *(
                56,
                57,
                58,
                59,
                62,
                101,
                129,
                200,
                234,
                297,
                310,
                311,
                322,
            ),  # clone fork vfork execve kill ptrace tkill ...
            *(
                76,
                77,
                82,
                83,
                84,
                85,
                86,
                87,
                88,
                90,
                91,
                92,
                93,
                94,
                132,
                133,
                235,
            ),  # truncate rename mkdir unlink chmod
            *(258, 259, 260, 263, 264, 265, 266, 268, 280, 316, 452),  # the same by a descriptor
            *(29, 30, 31, 64, 68, 69, 240, 241, 319, 321, 425, 438),  # shared memory, queues, bpf, io_uring, pidfd
        ),
        2,
        257,
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(198, 199, 200, 201, 202, 203, 211, 242, 269),
            *(117, 129, 130, 131, 138, 220, 221, 240, 270, 271, 281),
            *(33, 34, 35, 36, 37, 38, 45, 46, 52, 53, 54, 55, 88, 276, 452),
            *(180, 181, 186, 190, 194, 196, 279, 280, 425, 438),
        ),
        -1,
        56,
    ),
}
# clone3, openat2
_NEWER = (435, 437)


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def give_up_calls(libc: ctypes.CDLL) -> bool:
    """Let the kernel refuse these calls from now on; return whether it does. It has to have PR_SET_NO_NEW_PRIVS."""
    known = _KNOWN.get(platform.machine())
    if known is None:
        return False
    code = filter_code(*known)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def filter_code(processor: int, refused: tuple[int, ...], open_call: int, openat_call: int) -> bytes:
    """Return the filter's program (PURE). open_call: -1 where there is none."""
    code = [
        _step(_LOAD, 0, 0, _PROCESSOR),
        _step(_EQUAL, 1, 0, processor),
        _step(_RETURN, 0, 0, _KILL),
        _step(_LOAD, 0, 0, _NUMBER),
    ]
    for call in refused:
        code += [_step(_EQUAL, 0, 1, call), _step(_RETURN, 0, 0, _REFUSE)]
    for call in _NEWER:
        code += [_step(_EQUAL, 0, 1, call), _step(_RETURN, 0, 0, _UNKNOWN)]
    for call, flags in ((open_call, _SECOND), (openat_call, _THIRD)):
        if call >= 0:
            code += [
                _step(_EQUAL, 0, 4, call),
                _step(_LOAD, 0, 0, flags),
                _step(_ANY_BIT, 0, 1, _WRITING),
                _step(_RETURN, 0, 0, _REFUSE),
                _step(_RETURN, 0, 0, _ALLOW),
            ]
    # x32 calls of the same processor have numbers of their own.
    code += [_step(_AT_LEAST, 0, 1, 0x40000000), _step(_RETURN, 0, 0, _KILL), _step(_RETURN, 0, 0, _ALLOW)]
    return b"".join(code)


def _step(operation: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value & 0xFFFFFFFF)
