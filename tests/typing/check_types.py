"""Type checkers on the installed package: mypy, pyright, ty and pyrefly, each as strict as it can be.

    python tests/typing/check_types.py

Of `api.py` and `results.py` none reports anything; of `mistakes.py` each reports the lines that are marked `# wrong`,
and no other. Of every package, 95 % of the public types are known to pyright, and so need no guess (`--verifytypes`).
It works in a folder of its own, so that no checker finds the checkout.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("api.py", "results.py", "mistakes.py")
PACKAGES = (
    "hestiaos",
    "hestiaos_proto",
    "hestiaos_httpx",
    "hestiaos_trio",
    "hestiaos_asyncio",
    "hestiaos_local",
    "hestiaos_cli",
)
GOAL = 0.95

PYTHON = sys.executable
# `pyright --verifytypes` looks at the Python of the PATH, whatever it is given.
ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join([str(Path(PYTHON).parent), os.environ["PATH"]])}
CHECKERS: Mapping[str, list[str]] = {
    "mypy": [PYTHON, "-m", "mypy", "--strict", "--no-pretty", "--hide-error-context", "--no-error-summary", *FILES],
    "pyright": [PYTHON, "-m", "pyright", "--pythonpath", PYTHON, *FILES],
    "ty": [PYTHON, "-m", "ty", "check", "--python", PYTHON, "--output-format", "concise", *FILES],
    "pyrefly": [
        str(Path(PYTHON).parent / "pyrefly"),
        "check",
        "--python-interpreter-path",
        PYTHON,
        "--output-format",
        "min-text",
        *FILES,
    ],
}
# pyright's columns and pyrefly's ranges stand after the line; pyrefly's word for an error stands before the path.
ERROR = re.compile(r"(?:^|[\s/])(\w+\.py):(\d+)(?::[\d:-]+)?:? .*", re.MULTILINE)


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copy(HERE / name, folder)
        Path(folder, "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
        for name, command in CHECKERS.items():
            output = run(command, folder)
            found = {(file, int(line)) for file, line in ERROR.findall(output) if file in FILES}
            wanted = {("mistakes.py", line) for line in wrong_lines(name)}
            failed |= found != wanted
            print(f"{name}: {'as expected' if found == wanted else differences(found, wanted, output)}")
        for package in PACKAGES:
            score = completeness(package, folder)
            failed |= score < GOAL
            print(f"pyright --verifytypes {package}: {score:.1%}")
    return failed


def wrong_lines(checker: str) -> list[int]:
    ends = ("  # wrong", "  # wrong, not to ty") if checker != "ty" else "  # wrong"
    lines = (HERE / "mistakes.py").read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith(ends)]


def differences(found: set[tuple[str, int]], wanted: set[tuple[str, int]], output: str) -> str:
    missed = [f"{file}:{line}: no error" for file, line in sorted(wanted - found)]
    extra = [f"{file}:{line}: an error" for file, line in sorted(found - wanted)]
    return "\n".join(["not as expected", *missed, *extra, output])


def completeness(package: str, folder: str) -> float:
    command = [PYTHON, "-m", "pyright", "--pythonpath", PYTHON, "--verifytypes", package, "--ignoreexternal"]
    report = json.loads(run([*command, "--outputjson"], folder))
    return float(report["typeCompleteness"]["completenessScore"])


def run(command: list[str], folder: str) -> str:
    """What a checker reports; its status says only whether there are errors, which are wanted."""
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, encoding="utf-8", check=False
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
