"""What stands on a terminal's screen, as far as Claude Code's drawing needs it: text, moves, erasures. No colours."""

import codecs
import re

#: One control sequence or one piece of text; what is not complete yet is left for the next time.
_PART = re.compile(
    r"\x1b\[(?P<csi>[\x30-\x3f]*)[\x20-\x2f]*(?P<final>[\x40-\x7e])"
    r"|\x1b[\]P_^].*?(?:\x07|\x1b\\)"  # titles and other strings
    r"|\x1b[()*+][\x20-\x7e]|\x1b[\x37\x38=>cDEHMNOZ]"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f\x1b]+)",
    re.DOTALL,
)


class Screen:
    """Feed it what the program writes; ask it what can be read."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unread = ""
        self._lines = [[" "] * columns for _ in range(rows)]
        self._row = 0
        self._column = 0

    def __str__(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self._lines).strip("\n")

    def resize(self, rows: int, columns: int) -> None:
        """Another size; the program draws everything anew."""
        self.rows, self.columns = rows, columns
        self._lines = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0

    def feed(self, data: bytes) -> None:
        """More of what the program writes."""
        self._unread += self._decoder.decode(data)
        while found := _PART.match(self._unread):
            self._unread = self._unread[found.end() :]
            if found["text"]:
                self._write(found["text"])
            elif found["control"]:
                self._control(found["control"])
            elif found["final"]:
                self._sequence(found["csi"], found["final"])

    def _write(self, text: str) -> None:
        for letter in text:
            if self._column >= self.columns:
                self._column = 0
                self._down()
            self._lines[self._row][self._column] = " " if letter == "\u00a0" else letter
            self._column += 1

    def _control(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._down()
        elif letter == "\b":
            self._column = max(0, self._column - 1)

    def _down(self) -> None:
        if self._row == self.rows - 1:
            self._lines = [*self._lines[1:], [" "] * self.columns]
        else:
            self._row += 1

    def _sequence(self, told: str, final: str) -> None:
        if told[:1] in ("?", ">", "<", "="):
            return
        numbers = [int(part) if part.isdigit() else 0 for part in told.split(";")]
        count = numbers[0] or 1
        if final == "A":
            self._row = max(0, self._row - count)
        elif final == "B":
            self._row = min(self.rows - 1, self._row + count)
        elif final == "C":
            self._column = min(self.columns - 1, self._column + count)
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final == "G":
            self._column = min(self.columns, count) - 1
        elif final == "H":
            self._row = min(self.rows, count) - 1
            self._column = min(self.columns, (numbers[1] if len(numbers) > 1 else 0) or 1) - 1
        elif final in "KJ":
            self._erase(numbers[0], whole=final == "J")

    def _erase(self, what: int, *, whole: bool) -> None:
        line = self._lines[self._row]
        start = 0 if what else self._column
        end = self._column + 1 if what == 1 else self.columns
        line[start:end] = " " * (end - start)
        if not whole:
            return
        others = range(self._row) if what == 1 else range(self._row + 1, self.rows)
        for row in range(self.rows) if what >= 2 else others:
            self._lines[row] = [" "] * self.columns
