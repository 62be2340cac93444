"""The dashboard in headless Chromium, as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from hestiaos import Client, GovernanceBlock
from hestiaos_local import Key, Keys, Platform, Policy
from hestiaos_local.keys import hash_key
from tests.support.chromium import CHROMIUM, Page, open_page

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"), pytest.mark.thorough]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script> \u202eevil"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """A page that complains of nothing and asks nobody but the server."""
    browser.requested.clear()
    browser.complaints.clear()
    yield browser
    browser.open("about:blank")
    assert browser.complaints == []


@pytest.fixture
def keys() -> Keys:
    roles = [("reader", ("read",)), ("runner", ("run",)), ("boss", ("admin",))]
    return Keys(Key(name, hash_key(name), has) for name, has in roles)  # type: ignore[arg-type]


SHOWN = "!document.querySelector('main').hidden"  # once all is there that is asked for at first
REFUSED = "document.querySelector('#refused').textContent"


def log_in(page: Page, key: str) -> None:
    page.wait("!document.querySelector('#login').hidden")
    page.evaluate("document.querySelector('#key').focus()")
    page.type(key)
    page.press("Enter")
    page.wait(f"{SHOWN} || {REFUSED}")


def test_hostile_text_is_text_and_nothing_is_loaded_from_elsewhere(
    page: Page, serve_platform: Callable[..., str]
) -> None:
    url = serve_platform()
    with Client(url) as client:
        trace_id = client.run(HOSTILE, session_id=HOSTILE).trace_id
    page.open(url)
    page.wait("document.querySelectorAll('#traces tr').length == 1")
    assert page.evaluate("document.querySelector('#traces .clipped').textContent") == HOSTILE
    page.evaluate("document.querySelector('#traces button').click()")
    page.wait("document.querySelector('#trace dl').textContent.includes('<img')")
    assert trace_id in page.text("#trace dl")
    assert (
        page.evaluate("document.querySelectorAll('#traces img, dialog img, #traces script, dialog script').length") == 0
    )
    assert page.evaluate("document.title") == "HestiaOS"
    origin = urlsplit(url).netloc
    assert {urlsplit(each).netloc for each in page.requested} == {origin}


def test_decisions_come_by_themselves(page: Page, serve_platform: Callable[..., str]) -> None:
    url = serve_platform()
    with Client(url) as client:
        client.run("create a report")
        page.open(url)
        page.wait("document.querySelectorAll('#traces tr').length == 1")
        page.evaluate("document.querySelector('#traces button').focus()")
        client.agents.run("a", "rm -rf /")
        page.wait("document.querySelectorAll('#traces tr').length == 2")
        assert "BLOCK" in page.text("#traces tr")
        assert page.text("#news") == "1 new, 1 blocked"
        assert page.evaluate("document.activeElement.closest('tr').nextSibling === null")  # the focus has stayed
        page.evaluate(
            "(e => { e.value = 'ALLOW'; e.dispatchEvent(new Event('change')); })(document.querySelector('#filter'))"
        )
        page.wait("document.querySelectorAll('#traces tr').length == 1")
        assert "ALLOW" in page.text("#traces tr")


def test_older_decisions(page: Page, serve_platform: Callable[..., str], platform: Platform) -> None:
    url = serve_platform()
    with Client(url) as client:
        for number in range(60):
            client.run(f"run {number}")
    page.open(url)
    page.wait("document.querySelectorAll('#traces tr').length == 50")
    page.evaluate("document.querySelector('#older').click()")
    page.wait("document.querySelectorAll('#traces tr').length == 60")
    assert page.evaluate("document.querySelector('#older').hidden")
    assert "run 0" in page.text("#traces tr:last-child")


def test_the_key_is_kept_in_memory_alone(page: Page, serve_platform: Callable[..., str], keys: Keys) -> None:
    page.open(serve_platform(keys=keys))
    log_in(page, "wrong")
    page.wait(REFUSED)
    assert page.text("#refused") == "The server does not accept this key."
    assert page.evaluate("document.querySelector('main').hidden")
    log_in(page, "boss")
    page.wait("document.activeElement.id == 'decisions'")
    assert page.evaluate("document.querySelector('#login').hidden && !document.querySelector('main').hidden")
    assert "version" in page.text("#state")
    held = page.evaluate(
        "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, document.body.innerHTML])"
    )
    assert "boss" not in held
    assert page.evaluate("document.querySelector('#key').value") == ""
    page.evaluate("document.querySelector('#forget').click()")
    page.wait("document.querySelector('#login')?.hidden === false && document.querySelector('#forget').hidden")


def test_what_a_key_may_not_see_says_which_role_is_missing(
    page: Page, serve_platform: Callable[..., str], keys: Keys
) -> None:
    page.open(serve_platform(keys=keys))
    log_in(page, "reader")
    page.wait("document.querySelector('#policy .note').textContent.includes('role')")
    assert page.text("#policy .note") == "Your key does not have the role admin."
    assert page.text("#decisions > .note") == "Nothing has been decided yet."
    assert "status\nOK" in page.text("#health dl")


def test_a_walk_by_keyboard(page: Page, serve_platform: Callable[..., str], keys: Keys) -> None:
    url = serve_platform(keys=keys)
    with Client(url, "boss") as client:
        client.run("create a report")
    page.open(url)
    page.wait("!document.querySelector('#login').hidden")
    assert page.focused == "API key"  # where the page begins
    page.type("boss")
    page.press("Enter")
    page.wait("document.querySelectorAll('#traces tr').length == 1")
    page.wait(SHOWN)
    page.evaluate("document.activeElement.blur(), document.querySelector('.skip').focus()")
    walked = [page.focused]
    for _ in range(4):
        page.press("Tab")
        walked.append(page.focused.split("\n")[0])
    assert [each.split(" ")[0] for each in walked[:4]] == ["Skip", "Forget", "Show", "Pause"]
    assert page.evaluate("document.activeElement.closest('#traces') !== null")
    page.press("Enter")
    page.wait("document.querySelector('#trace').open")
    page.wait("document.querySelector('#trace dl').textContent.includes('create a report')")
    assert page.evaluate("document.querySelector('#trace').contains(document.activeElement)")
    page.press("Escape")
    page.wait("!document.querySelector('#trace').open")
    assert page.evaluate("document.activeElement.closest('#traces') !== null")  # where it was


def test_everything_has_a_name(page: Page, serve_platform: Callable[..., str]) -> None:
    """As the browser's accessibility tree has it."""
    url = serve_platform()
    with Client(url) as client:
        client.run("create a report")
    page.open(url)
    page.wait("document.querySelectorAll('#traces tr').length == 1")
    nodes: list[dict[str, Any]] = page.call("Accessibility.getFullAXTree")["nodes"]
    found = [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in nodes if not each["ignored"]]
    for role in ("button", "combobox", "heading", "region", "table", "columnheader", "link"):
        assert role in {each for each, _ in found}
        assert all(name for each, name in found if each == role), json.dumps(found)


CONTRASTS = """(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = channels(getComputedStyle(element).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const shown = (element) => element.checkVisibility() && element.innerText?.trim();
  return [...document.querySelectorAll("body *")].filter(shown).map((element) => {
    const both = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
    return [(Math.max(...both) + 0.05) / (Math.min(...both) + 0.05), element.outerHTML.slice(0, 80)];
  });
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_the_contrast_that_it_needs(page: Page, serve_platform: Callable[..., str], dark: bool) -> None:
    """WCAG 2.2, success criterion 1.4.3."""
    url = serve_platform()
    with Client(url) as client:
        client.run("update all users")
        client.run("create a report")
        client.agents.run("a", "rm -rf /")
    page.open(url, dark=dark)
    page.wait("document.querySelectorAll('#traces tr').length == 3")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [each for each in contrasts if each[0] < 4.5] == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_is_wider_than_the_window(
    page: Page, serve_platform: Callable[..., str], width: int, dark: bool
) -> None:
    url = serve_platform()
    with Client(url) as client:
        client.run("x" * 5000)
        client.run("create a report " * 100)
    page.open(url, width=width, dark=dark)
    page.wait("document.querySelectorAll('#traces tr').length == 2")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(23, 21, 19)" if dark else "rgb(246, 244, 241)")


def test_a_server_that_has_gone(page: Page, serve_platform: Any) -> None:
    url = serve_platform()
    page.open(url)
    page.wait("document.querySelector('#state').textContent.includes('version')")
    serve_platform.stop(url)
    page.wait("document.querySelector('#decisions > .note').textContent.includes('cannot be reached')")
    page.wait("document.querySelector('#state').textContent.includes('cannot be reached')")


POLICY = """version = 2
name = "team"

[[rules]]
name = "ask-first"
on = "input"
pattern = "deploy"
decision = "BLOCK"
approval = true
risk = 0.5
reason = "somebody has to agree"

[[rules]]
name = "tried-out"
on = "input"
pattern = "nightfall"
decision = "BLOCK"
risk = 0.5
reason = "not told yet"
mode = "shadow"

[[limits]]
name = "per key"
per = "key"
requests = 60
window = "1m"
"""


@pytest.fixture
def governed() -> Iterator[Platform]:
    """A platform that asks before some runs, tries a rule out, and limits each key."""
    with Platform(policy=Policy.parse(POLICY, "team.toml")) as platform:
        yield platform


def test_an_approval_is_decided_by_keyboard(
    page: Page, serve_platform: Callable[..., str], governed: Platform, keys: Keys
) -> None:
    url = serve_platform(platform=governed, keys=keys)
    with Client(url, "boss") as client:
        with pytest.raises(GovernanceBlock):
            client.run("deploy <b>it</b>")
        page.open(url)
        log_in(page, "boss")
        page.wait("document.querySelectorAll('#approvals li').length == 1")
        assert page.text("#approvals pre") == "deploy <b>it</b>"
        page.evaluate("document.querySelector('#approvals pre').focus()")
        page.press("Tab")
        assert page.focused == "Approve: ask-first"
        page.press("Enter")
        page.wait("document.querySelector('#approvals .note').textContent == 'None is waiting.'")
        assert page.text("#news") == "Approved: the same call passes once."
        assert page.evaluate("document.activeElement.id") == "approvals"
        assert client.run("deploy <b>it</b>").mode == "ALLOW"
        with pytest.raises(GovernanceBlock):
            client.run("deploy <b>it</b>")


def test_limits_and_shadow_hits(page: Page, serve_platform: Callable[..., str], governed: Platform, keys: Keys) -> None:
    url = serve_platform(platform=governed, keys=keys)
    with Client(url, "boss") as client:
        client.run("project nightfall")
    page.open(url)
    log_in(page, "boss")
    page.wait("document.querySelectorAll('#limits meter').length == 1")
    assert "boss: 1 of 60 requests" in page.text("#limits")
    # It has no tabs before it is laid out.
    page.wait(r"document.querySelector('#rules tbody').innerText == 'tried-out\t0\t1'")
    assert "name\nteam" in page.text("#policy dl")
