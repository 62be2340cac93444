"""For tests of code that uses HestiaOS: a platform whose answers and faults are scripted.

`ScriptedPlatform` is a whole platform, in-process or served, that answers as a test scripts it. The pytest plugin
of this distribution, `hestiaos.pytest_plugin`, gives it as the fixture `hestiaos_platform`.
"""

from hestiaos_local.testing._platform import ScriptedPlatform
from hestiaos_local.testing._replies import Reply
from hestiaos_local.testing._script import ReceivedRequest

__all__ = ["ReceivedRequest", "Reply", "ScriptedPlatform"]


def __dir__() -> list[str]:
    return sorted(__all__)
