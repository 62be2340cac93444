"""Tools for testing code that uses HestiaOS: a platform with scripted replies and faults.

`ScriptedPlatform` is a complete platform, in-process or served, which responds as a test scripts it. The pytest plugin
of this distribution, `hestiaos.pytest_plugin`, provides it as the fixture `hestiaos_platform`.
"""

from hestiaos_local.testing._platform import ScriptedPlatform
from hestiaos_local.testing._replies import Reply
from hestiaos_local.testing._script import ReceivedRequest

__all__ = ["ReceivedRequest", "Reply", "ScriptedPlatform"]


def __dir__() -> list[str]:
    return sorted(__all__)
