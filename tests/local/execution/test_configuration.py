"""The configuration file: what it says, and that all its mistakes are told at once, each with its line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hestiaos_local.execution import Agent, Configuration, ConfigurationError, ModelConfig, Work
from hestiaos_local.execution import _configuration as documented
from tests.support.executions import say

ENVIRON = {"MODEL_KEY": "sk-4711"}
GOOD = '''\
version = 1

[[models]]
name = "small"
url = "http://localhost:11434/v1"
model = "llama3.2:1b"
key_env = "MODEL_KEY"
max_tokens = 2048

[[models]]
name = "large"
url = "https://models.example/v1"

[[agents]]
id = "researcher"
system = """
You look things up.
[[models]]
name = "not a table, but a text"
"""
model = "large"
tools = ["search"]
max_tokens = 512
timeout_ms = 60000

[[agents]]
id = "plain"
'''


def parse(text: str) -> Configuration:
    return Configuration.parse(text, "h.toml", ENVIRON)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return list(caught.value.mistakes)


def test_a_good_file() -> None:
    configuration = parse(GOOD)
    assert list(configuration.models.values()) == [
        ModelConfig(name="small", url="http://localhost:11434/v1", model="llama3.2:1b", key="sk-4711", max_tokens=2048),
        ModelConfig(name="large", url="https://models.example/v1", model="large"),
    ]
    system = 'You look things up.\n[[models]]\nname = "not a table, but a text"\n'
    assert list(configuration.agents.values()) == [
        Agent(
            id="researcher",
            system=system,
            model="large",
            tools=frozenset({"search"}),
            max_tokens=512,
            timeout=60.0,
        ),
        Agent(id="plain"),
    ]
    assert configuration.executor().models == ["small", "large"]


def test_the_example_of_the_documentation_is_a_good_file() -> None:
    assert documented.__doc__ is not None
    _, example, _ = documented.__doc__.split("```")
    configuration = parse(example.removeprefix("toml\n"))
    assert (list(configuration.models), list(configuration.agents)) == (["small"], ["researcher"])


def test_the_least_file() -> None:
    configuration = parse("version = 1")
    assert (configuration.models, configuration.agents) == ({}, {})
    with pytest.raises(ValueError, match="at least one executor"):
        configuration.executor()


def test_a_key_is_not_shown() -> None:
    assert "4711" not in repr(parse(GOOD))


def test_all_mistakes_are_reported_at_once() -> None:
    text = (
        GOOD.replace("version = 1", "version = 2")
        .replace('"http://localhost:11434/v1"', '"localhost:11434"')
        .replace('key_env = "MODEL_KEY"', 'key_env = "OTHER_KEY"')
        .replace("max_tokens = 2048", "max_token = 2048")
        .replace('name = "large"', 'name = "small"')
        .replace("timeout_ms = 60000", "timeout_ms = 0")
        .replace('id = "plain"', "id = 7")
    )
    assert mistakes(text) == [
        "h.toml, line 1: version must be 1",
        "h.toml, line 5: models[0].url must be like http://localhost:11434/v1, not 'localhost:11434'",
        "h.toml, line 7: models[0].key_env names the environment variable OTHER_KEY, which is not set",
        "h.toml, line 8: models[0].max_token is not known: write name, url, model, key_env or max_tokens",
        "h.toml, line 11: models[1].name must be unique: 'small' is used already",
        "h.toml, line 21: agents[0].model is 'large', but the file's models are small",
        "h.toml, line 24: agents[0].timeout_ms must be 1 or more",
        "h.toml, line 27: agents[1].id must be a string, not a number",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("version = 1", ""), "line 1: version must be 1"),
        (("version = 1", "version = true"), "line 1: version must be 1"),
        (
            ("version = 1", "version = 1\nother = 2"),
            "line 2: other is not known: write version, policy, store, models or agents",
        ),
        (('name = "large"', ""), "line 10: models[1] needs name, which is missing"),
        (('name = "large"', 'name = " "'), "line 11: models[1].name must not be empty"),
        (('name = "large"', "name = 1979-05-27"), "models[1].name must be a string, not a date or time"),
        (('url = "https://models.example/v1"', ""), "line 10: models[1] needs url, which is missing"),
        (("https://models.example/v1", "https://ann:pw@models.example"), "must not contain a user or password"),
        (("https://models.example/v1", "https://models.example/v1?x"), "must be like http://localhost:11434/v1"),
        (("https://models.example/v1", "https://models.example:port"), "line 12: models[1].url is not a URL: "),
        (("https://models.example/v1", "https://"), "must be like http://localhost:11434/v1, not 'https://'"),
        (("max_tokens = 2048", "max_tokens = 0"), "line 8: models[0].max_tokens must be 1 or more"),
        (("max_tokens = 2048", "max_tokens = 1.5"), "models[0].max_tokens must be a whole number, not a number"),
        (('tools = ["search"]', 'tools = "search"'), 'line 22: agents[0].tools must be a list of strings: ["search"]'),
        (('tools = ["search"]', "tools = [1]"), 'agents[0].tools must be a list of strings: ["search"]'),
        (('model = "large"', 'model = "none"'), "agents[0].model is 'none', but the file's models are small, large"),
        (('id = "plain"', 'id = "researcher"'), "line 27: agents[1].id must be unique: 'researcher' is used already"),
        (('id = "plain"', ""), "line 26: agents[1] needs id, which is missing"),
        (('[[models]]\nname = "small"', '[models]\nname = "small"'), "this is not TOML: "),
    ],
)
def test_a_mistake_is_reported_with_its_line(change: tuple[str, str], told: str) -> None:
    old, new = change
    assert GOOD.count(old) >= 1
    mistake, *further = mistakes(GOOD.replace(old, new, 1))
    assert further == [] or "'large', but the file's models are" in further[0]  # whose name was the mistake
    assert mistake.startswith("h.toml, line ")
    assert told in mistake


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version 1", "h.toml, line 1: this is not TOML: "),
        ('version = 1\nname = """\n', "h.toml, line 3: this is not TOML: "),
        ("version = 1\nmodels = 5", "h.toml, line 2: models must be tables: begin each with [[models]]"),
        ("version = 1\nmodels = [5]", "h.toml, line 2: models must be tables: begin each with [[models]]"),
        ('version = 1\nmodels = [{name = "a"}]', "h.toml, line 2: models[0] needs url, which is missing"),
        ('version = 1\n[agents]\nid = "a"', "h.toml, line 2: agents must be tables: begin each with [[agents]]"),
    ],
)
def test_a_mistake_in_another_form_is_reported_with_its_line(text: str, told: str) -> None:
    (mistake,) = mistakes(text)
    assert mistake.startswith(told)


def test_mistakes_can_be_pickled() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("version = 2\nother = 1")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.mistakes, str(again)) == (ConfigurationError, caught.value.mistakes, str(caught.value))


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "hestia.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())  # as an editor on Windows may leave it
    assert Configuration.load(file, ENVIRON) == parse(GOOD)
    file.write_bytes(GOOD.replace("version = 1", "version = 2").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigurationError, match=f"^{file}, line 1: version must be 1$"):
        Configuration.load(str(file), ENVIRON)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "latin.toml"
    binary.write_bytes(b'version = 1\nname = "caf\xe9"\n')
    for path, told in [
        (tmp_path / "none.toml", "there is no such file"),
        (tmp_path, "the file cannot be read: Is a directory"),
        (Path("a\0b"), "the file cannot be read: embedded null byte"),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            Configuration.load(path, ENVIRON)
        assert str(caught.value) == f"{path}: {told}"
    with pytest.raises(ConfigurationError, match="line 2: this is not UTF-8"):
        Configuration.load(binary, ENVIRON)


class TestAgents:
    SEARCH, SHELL = ({"type": "function", "function": {"name": name}} for name in ("search", "shell"))

    def test_its_prompt_comes_first_and_its_model_counts(self) -> None:
        agent = Agent(id="a", system="be kind", model="large")
        work = agent.prepare(say("hi", model="small"))
        assert list(work.messages) == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
        assert work.model == "large"

    def test_without_either_the_work_is_as_it_was(self) -> None:
        work = say("hi", model="small", tools=[self.SEARCH], max_tokens=5, timeout=1.0)
        assert Agent(id="a").prepare(work) == Work(
            messages=[{"role": "user", "content": "hi"}],
            model="small",
            tools=[self.SEARCH],
            max_tokens=5,
            timeout=1.0,
        )

    @pytest.mark.parametrize(("own", "asked", "lower"), [(5, None, 5), (None, 7, 7), (5, 7, 5), (7, 5, 5)])
    def test_the_lower_limits_count(self, own: int | None, asked: int | None, lower: int) -> None:
        work = Agent(id="a", max_tokens=own, timeout=own).prepare(say(max_tokens=asked, timeout=asked))
        assert (work.max_tokens, work.timeout) == (lower, lower)

    def test_only_its_tools_are_offered(self) -> None:
        work = say(tools=[self.SEARCH, self.SHELL, {"type": "custom", "name": "search"}, {"type": "other"}])
        offered = Agent(id="a", tools=frozenset({"search"})).prepare(work).tools
        assert list(offered) == [self.SEARCH, {"type": "custom", "name": "search"}]
        assert list(Agent(id="a", tools=frozenset()).prepare(work).tools) == []

    def test_what_it_may_call(self) -> None:
        agent = Agent(id="a", tools=frozenset({"search"}))
        assert (agent.allows("search"), agent.allows("shell")) == (True, False)
        assert Agent(id="a").allows("shell")
