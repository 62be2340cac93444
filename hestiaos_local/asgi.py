"""The ASGI application `hestiaos_local.asgi:app`, for uvicorn, hypercorn and granian.

`app` is configured by environment variables and opened at startup. `application` serves a platform of your own.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from hestiaos_local._platform import Platform
from hestiaos_local.keys import Keys, accepted_keys
from hestiaos_local.serving import Access, ASGIApplication, Service, service_from_environment

__all__ = ["app", "application"]


def application(
    platform: Platform,
    *,
    api_key: str | None = None,
    keys: Keys | None = None,
    token_delay: float = 0.02,
    heartbeat: float = 15.0,
    grace: float = 30.0,
    allow_origins: Collection[str] = (),
) -> ASGIApplication:
    """Create an application that serves `platform`, and closes it at shutdown. The arguments are those of `serve`.

    Without an `api_key` or `keys`, it accepts requests from this machine only, whatever address the server listens on.
    """
    access = Access(accepted_keys(api_key, keys), allow_origins=allow_origins)
    service = Service(platform, access, token_delay, heartbeat, grace=grace)
    return ASGIApplication(lambda: service)


app: ASGIApplication = ASGIApplication(lambda: service_from_environment(os.environ))
