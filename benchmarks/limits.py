"""What the operating system allows and takes: open files, and memory."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def allow_many_files() -> None:
    """As many open files as this user may have; 2,000 streams are 2,000 sockets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if most != resource.RLIM_INFINITY else 65536, most))


def memory() -> tuple[int, int]:
    """What this process holds now, and the most that it ever held, in bytes; the latter twice where there is no /proc.

    The peak is the kernel's own of this program: `getrusage` would count that of the parent, before the exec.
    """
    if _STATUS.exists():
        found = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", _STATUS.read_text()))
        return int(found["VmRSS"]) * 1024, int(found["VmHWM"]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak
