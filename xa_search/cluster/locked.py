"""The versions this project is locked to. In: nothing. Out: a version by distribution, from constraints.txt."""

import re
import sys
from pathlib import Path

# In a checkout the file lies beside the package, in an installed wheel among the environment's shared files.
_CHECKOUT = Path(__file__).resolve().parents[2] / "constraints.txt"
CONSTRAINTS = _CHECKOUT if _CHECKOUT.is_file() else Path(sys.prefix) / "share" / "xa-search" / "constraints.txt"


def locked_versions() -> dict[str, str]:
    """Return the locked versions."""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normalised(name): version for name, version in pinned}


def normalised(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
