"""Draws the dashboard of a server that has been busy, in headless Chromium, as a picture in _static/.

Usage: PYTHONPATH=. python docs/dashboard.py
"""

import tempfile
from contextlib import suppress
from pathlib import Path

from hestiaos import Client, GovernanceBlock
from hestiaos_local import add_key
from tests.support.chromium import open_page
from tests.support.served_process import ServedProcess

PICTURE = Path(__file__).parent / "_static" / "dashboard.webp"
POLICY = r"""
version = 2
name = "team"

[[rules]]
name = "ask-first"
on = "input"
pattern = '(?i)\bdeploy\b'
decision = "BLOCK"
approval = true
risk = 0.5
reason = "somebody of the team has to agree to a deployment"

[[rules]]
name = "no-wiping"
on = "input"
pattern = '\brm\s+-\w*[rf]'
decision = "BLOCK"
risk = 0.95
reason = "destroys files"

[[rules]]
name = "tried-out"
on = "input"
pattern = '(?i)\breport\b'
decision = "BLOCK"
risk = 0.2
reason = "not published yet"
mode = "shadow"

[[limits]]
name = "per key"
per = "key"
requests = 20
tokens = 10_000
window = "1m"
"""
INPUTS = (
    "create a report on the third quarter",
    "rm -rf /srv/data",
    "summarise the minutes of Monday's meeting",
    "deploy version 4.2 to production",
    "translate the release notes to French",
    "create a report on open invoices",
)


def main() -> None:
    """Serve, ask, log in and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy, keys = folder / "team.toml", folder / "keys.toml"
        policy.write_text(POLICY)
        ci, ops = add_key(keys, "ci", ["run"]), add_key(keys, "ops", ["admin"])
        with ServedProcess("--policy", str(policy), "--keys", str(keys)) as server, open_page(folder) as page:
            with Client(server.url, ci) as client:
                for text in INPUTS:
                    with suppress(GovernanceBlock):
                        client.run(text)
            page.open(server.url, width=1280, height=860)
            page.wait("!document.querySelector('#login').hidden")
            page.type(ops)
            page.press("Enter")
            page.wait("document.activeElement.id === 'decisions'")
            page.evaluate("document.activeElement.blur()")
            page.picture(PICTURE)


if __name__ == "__main__":
    main()
