"""What all setting models share: strictness, and paths that mean the same wherever a command is started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo


class Section(BaseModel):
    """One table of the settings. Unknown members are mistakes, and no error repeats a value."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, str_strip_whitespace=True
    )


def _against_folder(path: Path, info: ValidationInfo) -> Path:
    base: Any = (info.context or {}).get("base", ".")
    return Path(os.path.abspath(os.path.join(base, path.expanduser())))


SettingPath = Annotated[Path, AfterValidator(_against_folder)]
"""Relative paths start at the folder of the settings file, not where a process happens to run."""
