"""Which authorities the environment names, and what is said of those that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_proto import default_tls_context

DIRECTORIES = {"/certs": ["a.pem", "9d66eef0.0"], "/more": ["9d66eef0.12"], "/none": ["a.pem", "9d66eef0", "README"]}


def make(environ: dict[str, str], error: Exception | None = None) -> dict[str, Any]:
    def create(**arguments: Any) -> dict[str, Any]:
        if error is not None:
            raise error
        return arguments

    def list_directory(path: str) -> list[str]:
        if path not in DIRECTORIES:
            raise FileNotFoundError(2, "No such file or directory")
        return DIRECTORIES[path]

    return default_tls_context(environ, create, list_directory, ":")


@pytest.mark.parametrize(
    ("environ", "made"),
    [
        ({}, (None, None)),
        ({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}, (None, None)),
        ({"SSL_CERT_FILE": "/file"}, ("/file", None)),
        ({"SSL_CERT_DIR": "/certs"}, (None, "/certs")),
        ({"SSL_CERT_DIR": "/certs:/more"}, (None, "/certs:/more")),
        ({"SSL_CERT_FILE": "/file", "SSL_CERT_DIR": "/certs"}, ("/file", "/certs")),
    ],
)
def test_authorities_that_the_environment_names(environ: dict[str, str], made: tuple[str | None, str | None]) -> None:
    assert make(environ) == {"cafile": made[0], "capath": made[1]}


@pytest.mark.parametrize(
    ("directory", "message"),
    [
        ("/missing", "SSL_CERT_DIR names '/missing', which cannot be read: No such file or directory"),
        ("/certs:/missing", "SSL_CERT_DIR names '/missing'"),
        ("/none", "SSL_CERT_DIR names '/none', which has no certificate"),
        ("/certs:/none", "SSL_CERT_DIR names '/none'"),
        ("/certs:", "SSL_CERT_DIR names ''"),
    ],
)
def test_directories_that_cannot_be_used(directory: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make({"SSL_CERT_DIR": directory})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SSL_CERT_FILE": "/file"}, "no TLS context can be made with SSL_CERT_FILE=/file: no such thing"),
        ({"SSLKEYLOGFILE": "/keys"}, "with SSLKEYLOGFILE=/keys: no such thing"),
        ({"SSL_CERT_FILE": "/f", "SSLKEYLOGFILE": "/k"}, "with SSL_CERT_FILE=/f and SSLKEYLOGFILE=/k: no such thing"),
        ({}, "with the system's certificates: no such thing"),
    ],
)
def test_files_that_the_tls_library_refuses(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as wrong:
        make(environ, OSError("no such thing"))
    assert isinstance(wrong.value.__cause__, OSError)
