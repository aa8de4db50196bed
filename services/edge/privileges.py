"""Who the edge runs as (I/O: asks for users, changes the process).

Owns: refusing to serve as root, becoming another user for good, and keeping memory out of core files.
What the process has when it meets a client: the settings' secrets (its broker user's password, which may do what
DESIGN §1 says of edge and no more; the loop key), the listeners' private keys, and, once they came over the broker, the
accounts' verifiers. No key of DKIM, no database, no login of an administrator, no right to any other stage's queue.
Standards: CERT C POS36-C, POS37-C (the order of giving up rights, and proof that they are gone).
On failure: SettingsError before a client is served.
"""

import ctypes
import grp
import os
import pwd
import resource
import sys
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from services.edge.settings import EdgeSettings
from shared.errors import SettingsError

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to become. name: of the user, whose further groups go with it."""

    name: str
    uid: int
    gid: int


def user_to_become(settings: EdgeSettings) -> Identity | None:
    """Return whom the process must become before it serves; None: it stays who it is.

    Raises SettingsError: it must not serve as root, or cannot become that user.
    """
    am_root = os.geteuid() == 0
    if settings.run_as is not None:
        identity = identity_of(settings.run_as)
        if am_root:
            return identity
        if os.geteuid() != identity.uid:
            raise SettingsError(f"run_as: only root can become {settings.run_as}; start as root, or leave run_as out")
        return None
    if not am_root:
        return None
    addresses = [settings.health.address, *(listener.address for listener in settings.listeners.values())]
    if not settings.allow_root_on_loopback:
        raise SettingsError("the edge does not serve as root: set run_as to a user that it becomes once it has bound")
    if others := [address for address in addresses if not is_loopback(address)]:
        raise SettingsError(
            f"the edge does not serve as root at {', '.join(sorted(set(others)))}: allow_root_on_loopback is for "
            "trials on one machine; set run_as to a user that it becomes once it has bound"
        )
    return None


def is_loopback(address: str) -> bool:
    """Whether an address of the settings can only be reached from this machine."""
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


def identity_of(run_as: str) -> Identity:
    """Return the user that `user` or `user:group` names. Raises SettingsError."""
    user, colon, group = run_as.partition(":")
    try:
        found = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if colon else found.pw_gid
    except KeyError:
        raise SettingsError(f"run_as: this machine has no such user or group: {run_as}") from None
    if found.pw_uid == 0 or gid == 0 or 0 in os.getgrouplist(user, gid):
        raise SettingsError(f"run_as: {run_as} is root, or of root's group; name a user without rights")
    return Identity(user, found.pw_uid, gid)


def become(identity: Identity) -> None:
    """Become this user for good, in all threads to come. Raises SettingsError where that cannot be, OSError."""
    # CERT C POS36-C: groups first, the user last; afterwards there is no right left to do it.
    os.initgroups(identity.name, identity.gid)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    # CERT C POS37-C: trust no return value.
    if _regains_root() or os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise SettingsError(f"run_as: root could not be given up for {identity.name}")
    # Modules are read when they are first needed, which may be much later.
    for file in (sys.executable, os.__file__, structlog.__file__, __file__):
        if not os.access(file, os.R_OK):
            raise SettingsError(f"run_as: {identity.name} cannot read {file}; install where every user can")


def _regains_root() -> bool:
    for attempt in (os.setuid, os.seteuid, os.setgid):
        try:
            attempt(0)
        except PermissionError:
            continue
        return True
    return 0 in os.getgroups()


def harden() -> None:
    """Have the process never gain rights by what it executes, and never leave its memory in a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
