"""What the architecture tests look at: the checkout's own files, whether they are committed or about to be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "gateway", "policy", "store")
_SKIPPED = {"__pycache__", "build", "dist", "var", "node_modules"}


def modules(*rooms: str) -> list[Path]:
    """Every Python file of the rooms (all four without arguments), relative to the checkout, sorted."""
    found = [path.relative_to(ROOT) for room in rooms or ROOMS for path in (ROOT / room).rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def project_files() -> list[Path]:
    """Every file that git tracks or would track, relative to the checkout; without git, every file not of a tool's making."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return sorted(_walked())
    return sorted(Path(os.fsdecode(name)) for name in set(listed.split(b"\0")) if name and (ROOT / os.fsdecode(name)).is_file())


def _walked() -> list[Path]:
    found: list[Path] = []
    for directory, inner, files in os.walk(ROOT):
        inner[:] = [
            name for name in inner if name not in _SKIPPED and not (name.startswith(".") and name != ".ci") and "egg-info" not in name
        ]
        found += [(Path(directory) / name).relative_to(ROOT) for name in files]
    return found
