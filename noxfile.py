"""What is run on this project, each session in an environment of its own: `nox -l` lists it, `nox -s NAME` runs it.

Arguments after `--` are handed to the session's command. `.ci/run` and the workflow run the same sessions.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
BINDINGS = [f"tests/{name}" for name in ("proto", "httpx", "loops", "trio", "asyncio")]
# What the tests of the bindings need, of the extra `test`, whose other packages would lift the lowest versions.
TEST_TOOLS = ["h2", "httptools", "hypothesis", "pytest", "pytest-timeout", "socksio", "trustme"]
# The tests of a served platform that do not start `hestiaos serve` themselves.
SERVED = [
    *(
        f"tests/local/test_server_{name}.py"
        for name in ("access", "cuts", "load", "models", "requests", "roles", "streams")
    ),
    *(f"tests/local/test_{name}.py" for name in ("dashboard", "metrics", "openapi", "served_faults")),
]
WITH_BROAD = ["-m", "not (thorough or timing)"]
POSTGRES = ["tests/local/storage", "tests/postgres", "tests/cli/test_stores.py", "tests/cli/test_error_page.py"]
APT_PACKAGES = {"chromium": "chromium", "nginx": "nginx-light", "xvfb-run": "xvfb", "xauth": "xauth"}


def pytest(session: nox.Session, *arguments: str, **environment: str) -> None:
    session.run("python", "-m", "pytest", "-q", *arguments, *session.posargs, env=environment)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the import contracts, the contract guard."""
    session.install("-e", ".[lint]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")
    session.run("python", "-m", "hestiaos.contract_guard")


@nox.session
def types(session: nox.Session) -> None:
    """mypy and pyright; then these, ty and pyrefly on a user's program with the built wheel."""
    session.install("-e", ".[bench,instrumentation,lint,package,postgres,test]")
    session.run("mypy")
    session.run("pyright", "--pythonpath", shutil.which("python", path=session.bin) or sys.executable)
    _, wheel = build(session)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.run("python", "tests/typing/check_types.py")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests of the README's command."""
    session.install("-e", ".[test]")
    pytest(session)


@nox.session
def broad(session: nox.Session) -> None:
    """The tests over the other bindings, event loops and pages, and in programs that are started, forked and killed."""
    session.install("-e", ".[speed,test]")
    pytest(session, "-m", "broad and not (thorough or timing)")


@nox.session
def coverage(session: nox.Session) -> None:
    """Every branch of the core, and of the wire of model servers, by its own tests."""
    session.install("-e", ".[lint,test]")
    for package, folder in (("hestiaos_proto", "tests/proto"), ("hestiaos_local.openai", "tests/local/openai")):
        session.run("coverage", "run", f"--source={package}", "-m", "pytest", "-q", folder)
        session.run("coverage", "report", "--fail-under=100")


@nox.session
def thorough(session: nox.Session) -> None:
    """The tests that take minutes."""
    session.install("-e", ".[speed,test]")
    pytest(session, "-m", "thorough", "--timeout=3600")


@nox.session
def timing(session: nox.Session) -> None:
    """The tests that assert a wall-clock time: run them on an otherwise idle machine."""
    session.install("-e", ".[speed,test]")
    pytest(session, "-m", "timing")


@nox.session
def properties(session: nox.Session) -> None:
    """200 examples for each property."""
    session.install("-e", ".[speed,test]")
    pytest(session, *WITH_BROAD, "tests/properties", "--hypothesis-profile=ci", "--timeout=600")


@nox.session
def deep(session: nox.Session) -> None:
    """100,000 examples for each property: hours."""
    session.install("-e", ".[speed,test]")
    pytest(session, *WITH_BROAD, "tests/properties", "--hypothesis-profile=deep", "--timeout=0")


@nox.session
def fuzz(session: nox.Session) -> None:
    """The fuzzers, by default all, each for 10,000 inputs: `-- all --runs 10000000` for a night."""
    session.install("-e", ".[fuzz,test]")
    arguments = session.posargs or ["all", "--runs", "10000", "--length", "256", "--seed", "1"]
    session.run("python", "tests/fuzz/run.py", *arguments)


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutation testing of the core: hours; `-- stream sse` for these modules."""
    session.install("-e", ".[mutation,speed,test]")
    session.run("python", "tests/mutation/run.py", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Against nginx and other servers, real model servers, a browser, and the examples; installs programs."""
    install_from_apt(session, APT_PACKAGES)
    session.install("-e", ".[models,test]")
    environment = {"PATH": os.pathsep.join([*session.bin_paths, os.environ["PATH"], "/usr/sbin"])}
    pytest(session, "-rs", "-m", "not timing", "tests/peers", "tests/models", "tests/test_examples.py", **environment)


def install_from_apt(session: nox.Session, packages: dict[str, str]) -> None:
    """Have these programs, each of a package, or say what is missing. No service is started."""
    folders = ["/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    path = os.pathsep.join([os.environ["PATH"], *folders])
    missing = [package for command, package in packages.items() if not shutil.which(command, path=path)]
    if not missing:
        return
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("apt-get"):
        session.error(f"these programs are needed: {', '.join(missing)}")
    # Debian starts a service that it installs, but not at runlevel 1.
    environment = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    apt = ["apt-get", "-qq", "-o", "Acquire::Retries=5"]
    session.run(*apt, "update", external=True, env=environment)
    session.run(*apt, "install", "-y", "--no-install-recommends", *missing, external=True, env=environment)


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """The tests on every supported Python that is here, with the newest dependencies."""
    session.install("-e", ".[speed,test]")
    pytest(session)


@nox.session(python=["3.11", "3.13"])
def lowest(session: nox.Session) -> None:
    """The tests of the bindings with the lowest versions of what they need."""
    pins = f"{session.create_tmp()}/lowest.txt"
    session.install("uv")
    wanted = ["--resolution=lowest-direct", "--extra=trio", "--extra=speed", f"--python-version={session.python}"]
    session.run("uv", "pip", "compile", "-q", *wanted, "pyproject.toml", "-o", pins)
    session.install("-r", pins, "-c", pins, *TEST_TOOLS)
    session.install("--no-deps", "-e", ".")
    pytest(session, *WITH_BROAD, *BINDINGS)


@nox.session
def httpx2(session: nox.Session) -> None:
    """The conformance suite, over every binding, where httpx2, httpx's successor, is there and httpx is not."""
    session.install("-e", ".[test]", "httpx2", "uv")
    session.run("uv", "pip", "uninstall", "-q", "httpx", "httpcore")
    pytest(session, *WITH_BROAD, "tests/conformance", HESTIAOS_TEST_HTTP="httpx2")


@nox.session
def instrumentation(session: nox.Session) -> None:
    """What mocks and watches httpx sees our requests: respx, pytest-httpx, vcrpy, OpenTelemetry, Sentry."""
    session.install("-e", ".[instrumentation,test]")
    pytest(session, "tests/instrumentation")


@nox.session
def asgi(session: nox.Session) -> None:
    """The platform as an ASGI application, and its own tests, under uvicorn, hypercorn (asyncio, trio) and granian."""
    session.install("-e", ".[test]", "granian>=2.5", "hypercorn>=0.17")
    pytest(session, "-m", "not timing", "tests/asgi", HESTIAOS_TEST_ASGI="uvicorn hypercorn granian")
    for server in ("uvicorn", "hypercorn", "hypercorn-trio", "granian"):
        pytest(session, "-rs", *SERVED, HESTIAOS_TEST_SERVER=server)


@nox.session
def schemathesis(session: nox.Session) -> None:
    """schemathesis, with all of its checks, against `/openapi.json` of `hestiaos serve`."""
    session.install("-e", ".[test]", "schemathesis>=4", "fakellm==0.3.5")
    pytest(session, "-m", "thorough", "tests/schemathesis", "--timeout=1800")


@nox.session
def postgres(session: nox.Session) -> None:
    """The storage in PostgreSQL, with a server that it starts, and installs; `-- -m thorough` kills for minutes."""
    install_from_apt(session, {"postgres": "postgresql"})
    session.install("-e", ".[postgres,test]", "gunicorn>=23", "uvicorn-worker>=0.3")
    pytest(session, "-rs", *WITH_BROAD, *POSTGRES, "--timeout=1800", HESTIAOS_TEST_POSTGRES="1")


@nox.session
def recipes(session: nox.Session) -> None:
    """Batches on Ray Data, Dask and, where there is a Java, Spark; one of their workers is killed."""
    session.install("-e", ".[test]", "ray[data]>=2.50", "aiohttp>=3.10", "dask[distributed]>=2026.1", "pandas")
    if shutil.which("java"):
        session.install("pyspark>=4.0")
    pytest(session, "-rs", "-s", "tests/recipes")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, on an otherwise idle machine; `-- --quick` runs each once."""
    session.install("-e", ".[bench,postgres,speed]", "pip")  # by pip it fetches the published client
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, in docs/_build; a warning is an error."""
    session.install("-e", ".[docs,trio]")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-n", "docs", "docs/_build")


@nox.session
def wheel(session: nox.Session) -> None:
    """What is published: is it well-formed, and do the source distribution's tests pass on the wheel that it makes."""
    session.install(".[package]")
    sdist, wheel = build(session)
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    session.run("validate-pyproject", "pyproject.toml")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[speed,test]")
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    unpacked = sdist.parent / sdist.name.removesuffix(".tar.gz")
    for package in unpacked.glob("hestiaos*"):
        shutil.rmtree(package)  # so that the wheel is imported
    with session.chdir(unpacked):
        pytest(session)


def build(session: nox.Session) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built of it."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    session.run("python", "-m", "build", "--outdir", str(folder), silent=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel
