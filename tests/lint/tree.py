# SPDX-License-Identifier: GPL-2.0-or-later
"""A source tree as the rules see it: its files, their text, C without comments and strings, the list of kinds."""

import os
import re
import subprocess

# The floors of docs/ARCHITECTURE.md, the deepest folder first. Folders of one number do not know each other.
FLOORS = [
    ("checkpoint/tape/", 2), ("checkpoint/kind/", 3), ("checkpoint/", 4), ("base/", 0), ("proto/", 1), ("ploop/", 2),
    ("engine/", 5), ("migrate/", 6), ("tools/", 7),
]
SKIPPED_DIRS = ("build", ".git", "subprojects", "__pycache__")
_COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def floor_of(path):
    for folder, number in FLOORS:
        if path.startswith(folder):
            return folder, number
    return None


def _blank(match):
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


class Tree:
    def __init__(self, root, build=None):
        self.root = os.path.realpath(root)
        self.build = build
        self.files = sorted(self._find())
        self._text = {}
        self._code = {}

    def _find(self):
        """Tracked and new files where git knows the tree, all files elsewhere."""
        if os.path.exists(os.path.join(self.root, ".git")):
            out = subprocess.run(["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-z", "-co",
                                  "--exclude-standard"], capture_output=True, check=True).stdout
            names = out.decode().split("\0")
            return {n for n in names if n and os.path.isfile(os.path.join(self.root, n))}
        found = set()
        for where, dirs, files in os.walk(self.root):
            dirs[:] = [d for d in dirs if not d.startswith(SKIPPED_DIRS)]
            found.update(os.path.relpath(os.path.join(where, f), self.root) for f in files)
        return found

    def has(self, path):
        return os.path.isfile(os.path.join(self.root, path))

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self._text[path] = f.read()
        return self._text[path]

    def code(self, path):
        """C with comments and the inside of strings blanked; lines and columns stay."""
        if path not in self._code:
            self._code[path] = _COMMENT_OR_STRING.sub(_blank, self.text(path))
        return self._code[path]

    def c_files(self, ends=(".c", ".h")):
        return [f for f in self.files if f.endswith(ends)]

    def library_files(self):
        """C of the floors: everything that is not a test."""
        return [f for f in self.c_files() if floor_of(f)]

    def kinds(self):
        """(line, number, stem, class, state) of each row of kinds.list."""
        path = "checkpoint/kind/kinds.list"
        if not self.has(path):
            return
        for at, line in enumerate(self.text(path).splitlines(), 1):
            words = line.split()
            if words and not words[0].startswith("#"):
                yield [at] + (words + [""] * 4)[:4]

    def docs(self):
        return [f for f in self.files if f.startswith("docs/") or f == "README.md"]
