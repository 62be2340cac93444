"""The version of the distribution, its one place; `pyproject.toml` reads it from here."""

__version__ = "1.1.0"
