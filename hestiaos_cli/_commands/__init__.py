"""The commands, one module each: `command` is what the table of `_app` names."""
