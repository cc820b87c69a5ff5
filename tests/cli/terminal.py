"""A terminal of some lines, without one. In: what a program writes. Out: what is seen, and what has scrolled away."""

import re

TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b[^\[]|[\r\n]|[^\x1b\r\n]+")


class Terminal:
    """Knows what Rich uses: the line feed, the return, the cursor up, and the erased line."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.scrolled: list[str] = []
        self.screen = [""]
        self._row, self._column = 0, 0

    def write(self, text: str) -> None:
        """Take what a program writes."""
        for token in TOKEN.finditer(text):
            self._take(token)

    def _take(self, token: re.Match[str]) -> None:
        if token[0] == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self.screen):
                self.screen.append("")
            while len(self.screen) > self.lines:
                self.scrolled.append(self.screen.pop(0))
                self._row -= 1
        elif token[0] == "\r":
            self._column = 0
        elif token[2] == "A":
            # Above the first line there is nothing: what was meant to be replaced has scrolled away.
            self._row = max(0, self._row - int(token[1] or 1))
        elif token[2] == "K":
            self.screen[self._row] = ""
        elif token[2] is None and not token[0].startswith("\x1b"):
            line = self.screen[self._row].ljust(self._column)
            self.screen[self._row] = line[: self._column] + token[0] + line[self._column + len(token[0]) :]
            self._column += len(token[0])
