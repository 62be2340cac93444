"""The built-in policy.

Compiling its patterns takes about 10 ms with RE2, and 80 ms with `re`. Most texts contain none of the literals that a
match requires, so that nothing is compiled for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pkgutil import get_data

from attrs import evolve

from hestiaos_local.governance._engines import best_engine
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._trusted import TrustingEngine

__all__ = ["LITERALS", "default_policy", "with_literals"]

LITERALS: Mapping[str, tuple[str, ...]] = {
    "destructive-shell": (
        *(" -", "\t-", ",-", ":-", "[-", "]-", "+-", "{-", "}-", '"-', "'-"),  # an option
        *("){", ") {", ")\t{", ")\n{", ")\r{", ")\f{"),  # a function of a shell
        *("xargs", "mv", "format ", "format\t", "format.com"),
        *(" /", "\t/", "rd/", "dir/", "del/", "erase/", "/s"),
    ),
    "disk-overwrite": ("/dev/", "/d?v/", "/de?/", "physicaldrive"),
    "drop-database": ("drop",),
    "destructive-command": ("format", "wipe", "shutdown"),
    "credential-exfiltration": (
        *("key", "token", "credential", "login", "passcode", "passphrase", "password", "secret", "cookie"),
    ),
    "credential-files": (
        *("shadow", "passwd", "sudoers", "admin.conf", "etc/", ".ssh", ".aws/", ".kube/"),
        *(".netrc", ".pgpass", ".git-credentials", ".docker/", ".gnupg/", ".azure/", "/gcloud/"),
        *("ssh_host_", "/environ", "/run/", "system32"),
    ),
    "bulk-operation": ("bulk ", "bulk-", "mass ", "mass-", "delete", "mail", "message", "update"),
    "bulk-command": ("batch", "bulk", "delete"),
}
"""The literals of each rule, case-folded. Every match of its patterns contains at least one of them, in any case;
tests/governance/test_literals.py proves it."""


@cache
def default_policy(tests: bool) -> Policy:
    """Return the policy, which is read once. With `tests`, its patterns are checked, and its tests are read and run."""
    data = get_data("hestiaos_local.governance", "default_policy.toml")  # importlib.resources takes 20 ms to import
    assert data is not None, "the file is part of this package"
    engine = best_engine() if tests else TrustingEngine(best_engine)
    return with_literals(Policy.parse(data.decode(), "default_policy.toml", engine=engine, tests=tests))


def with_literals(policy: Policy) -> Policy:
    """Return the same policy with the literals of its rules."""
    return evolve(policy, rules=tuple(evolve(rule, literals=LITERALS[rule.name]) for rule in policy.rules))
