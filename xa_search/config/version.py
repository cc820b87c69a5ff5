"""Which program this is. In: the package's place. Out: the commit that it was installed from or is checked out at.

What cannot be known is `unknown`, never a guess: a wheel without a note of its origin may lie in somebody's repository.
"""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from xa_search.config.shipped import PACKAGE

UNKNOWN = "unknown"
DISTRIBUTION = "xa-search"
SHOWN = 12


def commit(package: Path = PACKAGE) -> str:
    """Return the commit of this program: its checkout's, with a word on changes, else the one it was installed from."""
    return _checked_out(package.parent) or _installed(package) or UNKNOWN


def _checked_out(root: Path) -> str:
    """Return the commit of a checkout whose top is this folder; empty where it is none, or git is not to be had."""
    try:
        if not (root / ".git").exists() or Path(_git(root, "rev-parse", "--show-toplevel")) != root:
            return ""
        found = _git(root, "rev-parse", f"--short={SHOWN}", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "xa_search")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{found}, changed since" if changed else found


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _installed(package: Path) -> str:
    """Return the commit that pip noted when it installed this package from a repository (PEP 610); else nothing."""
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return ""
    if Path(str(installed.locate_file("xa_search"))).resolve() != package:
        return ""
    noted = json.loads(installed.read_text("direct_url.json") or "{}")
    return str(noted.get("vcs_info", {}).get("commit_id", ""))[:SHOWN]
