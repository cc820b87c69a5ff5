"""What became of a winner in the registry. In: its registrations. Out: registration.md and registration.json."""

import json
from collections.abc import Sequence
from pathlib import Path

from xa_search.tracking.registration import Registration
from xa_search.tracking.report import write_files
from xa_search.tracking.versions import CANDIDATE, CHAMPION


def write_registrations(registrations: Sequence[Registration], directory: Path) -> tuple[Path, ...]:
    """Write each version and why it is the champion or is not, as it was decided once; return the paths."""
    lines, found = [], []
    for registration in registrations:
        version = registration.version
        reason = version.verdict or registration.reason
        found.append({"name": version.name, "version": version.version, "verdict": reason})
        lines.append(f"- {version.name} version {version.version}: {reason}.\n")
    text = (
        f"# Registration\n\n`{CANDIDATE}` is the newest version that was loaded back; `{CHAMPION}` moves only to one "
        f"that is shown to be better, on rows that selected no trial.\n\n{''.join(lines)}"
    )
    return write_files(
        directory,
        {"registration.md": text, "registration.json": json.dumps(found, indent=2, ensure_ascii=False) + "\n"},
    )
