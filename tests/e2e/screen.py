"""A terminal of its own for a test: what is on its screen after the bytes that were written to it."""
import re

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"


class Screen:
    """A terminal that knows the escape sequences the view uses, and fails on others."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.frames = []
        self.hidden = self.in_frame = False

    def feed(self, text):
        for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|[^\x1b]|\x1b", text):
            if part.startswith("\x1b"):
                self.escape(part)
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self.next_row()
            else:
                assert ord(part) >= 32, repr(part)
                if self.column == self.columns:
                    assert not self.in_frame, "a line is longer than the terminal is wide"
                    self.next_row()
                    self.column = 0
                self.cells[self.row][self.column] = part
                self.column += 1

    def next_row(self):
        if self.row + 1 == self.rows:
            self.cells = self.cells[1:] + [[" "] * self.columns]
        else:
            self.row += 1

    def escape(self, sequence):
        if sequence in (BEGIN, END):
            self.in_frame = sequence == BEGIN
        if sequence in (HIDE, SHOW):
            self.hidden = sequence == HIDE
        elif sequence == END:
            self.frames.append(self.lines())
        elif sequence == "\x1b[K":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif sequence == "\x1b[J":
            self.escape("\x1b[K")
            for row in range(self.row + 1, self.rows):
                self.cells[row] = [" "] * self.columns
        elif re.fullmatch(r"\x1b\[\d+A", sequence):
            count = int(sequence[2:-1])
            assert count <= self.row, "the cursor left the screen"
            self.row -= count
        else:
            assert sequence == BEGIN or re.fullmatch(r"\x1b\[[0-9;]*m", sequence), repr(sequence)

    def lines(self):
        text = ["".join(row).rstrip() for row in self.cells]
        while text and not text[-1]:
            text.pop()
        return text
