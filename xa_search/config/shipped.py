"""The files that come with the program. In: nothing. Out: the folder that holds `search_spaces`, `label_maps` and
`constraints.txt`.

They lie at the top of the repository. A wheel has them in the package, as pyproject.toml says, so that they are found
wherever it is installed.
"""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("xa_search"))).resolve()
IN_A_WHEEL = "shipped"
"""The folder in the package that only a wheel has."""
SHIPPED = PACKAGE / IN_A_WHEEL if (PACKAGE / IN_A_WHEEL).is_dir() else PACKAGE.parent
SPACES = SHIPPED / "search_spaces"
LABEL_MAPS = SHIPPED / "label_maps"
CONSTRAINTS = SHIPPED / "constraints.txt"
