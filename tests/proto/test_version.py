"""The version, which the user agent and the distribution bear."""

from __future__ import annotations

import re

from hestiaos_proto._version import __version__


def test_it_is_a_release() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
