"""The settings: one TOML file, `conf.d`, and the environment. `docs/settings.md` speaks of each."""

from __future__ import annotations

from receiver.config.errors import ConfigError, ConfigProblem
from receiver.config.files import file_problems
from receiver.config.load import load_config
from receiver.config.models import Config, Issuer, Route
from receiver.config.to_policy import policy_of

__all__ = ["Config", "ConfigError", "ConfigProblem", "Issuer", "Route", "file_problems", "load_config", "policy_of"]
