"""A process that ends with its parent, however that ends: no orphan holds a port, a lock or the stores.

As a program it tethers itself and becomes another: `python -m limitly_site.tether NICENESS COMMAND…`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tether_to_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """On Linux; elsewhere nothing (a supervisor that is killed there leaves its children to the operator).

    It survives exec, and ends with the parent's thread: call it in children of a main thread.
    """
    if sys.platform.startswith("linux"):
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(by))
        if os.getppid() != parent:  # it died before we were tethered
            os.kill(os.getpid(), by)


if __name__ == "__main__":
    tether_to_parent()
    os.nice(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # the supervisor's own command
