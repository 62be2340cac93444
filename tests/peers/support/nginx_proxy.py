"""nginx as a reverse proxy: a process of this user, with a prefix of its own and nothing outside of it."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import trustme

__all__ = ["Nginx", "find_nginx"]

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type text/html;
    log_format answers "$request_uri $status $sent_http_content_encoding $connection_requests";
    access_log access.log answers;
    limit_req_zone $server_port zone=scarce:32k rate=1r/m;
    upstream behind {{
        server {upstream};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port} {ssl};
        ssl_certificate server.pem;
        ssl_certificate_key server.pem;
        location / {{
            proxy_pass http://behind;
            proxy_set_header Host {host};
            {directives}
        }}
    }}
}}
"""


def find_nginx() -> str | None:
    """The path of the program; a user's PATH often lacks the folder that Debian keeps it in."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))


class Nginx:
    """nginx in front of the server at the URL `upstream`; `directives` go into its `location`.

    `host` is the `Host` that the upstream hears. The proxy is at `url`. It can be stopped and started again, at the
    same port.
    """

    def __init__(
        self,
        binary: str,
        prefix: Path,
        certificate: trustme.LeafCert,
        upstream: str,
        directives: str = "",
        *,
        host: str = "$http_host",
        ssl: bool = False,
    ) -> None:
        self._binary = binary
        self._prefix = prefix
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}"
        prefix.mkdir()
        certificate.private_key_and_cert_chain_pem.write_to_path(prefix / "server.pem")
        (prefix / "nginx.conf").write_text(
            _CONFIGURATION.format(
                user=_user(),
                upstream=upstream.partition("://")[2],
                port=port,
                ssl="ssl" if ssl else "",
                host=host,
                directives=directives,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it. The listening socket is handed over as nginx hands it to its own successor.

        So the port is ours from the beginning to the end, and clients can connect before nginx runs.
        """
        listening = self._listener.fileno()
        self._process = subprocess.Popen(
            [self._binary, "-p", str(self._prefix), "-c", "nginx.conf", "-e", "error.log"],
            env=os.environ | {"NGINX": f"{listening};"},
            pass_fds=[listening],
        )

    def restart(self) -> None:
        """Stop it, with every connection to it, and start it again."""
        self._end()
        self.start()

    def stop(self) -> list[str]:
        """Stop it. What it says of the requests: path, status, content coding, number on its connection."""
        self._end()
        self._listener.close()
        return self.log()

    def log(self) -> list[str]:
        """What it has said so far of the requests."""
        return (self._prefix / "access.log").read_text().splitlines()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=50)
            assert status == 0, (self._prefix / "error.log").read_text()


def _user() -> str:
    """Root's nginx would give its workers to another user, who may not enter a test's folder."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name};"
