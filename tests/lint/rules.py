# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules: each takes a tree and yields `FILE:LINE: what is wrong`. Their names are those of the tests."""

import glob
import os
import re
import subprocess

from tree import floor_of

FUNCTION_MAX = 100
FILE_MAX = 1500
HEAD_MIN, HEAD_MAX = 2, 25
LGPL, GPL = "LGPL-2.1-or-later", "GPL-2.0-or-later"
LIBRARIES = ("base/", "proto/", "checkpoint/", "ploop/", "engine/", "migrate/")
# What has no place for a line: data, and files whose format has no comments.
NO_SPDX = re.compile(r"^(LICENSES/|CHANGELOG\.md$|README\.md$)|/(corpus|golden)/|\.(bin|png|svg|json|gz)$|(^|/)\.git")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def includes(tree, path):
    """(line, name) of each #include "name"."""
    for at, line in enumerate(tree.text(path).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if found:
            yield at, found.group(1)


def floors(tree):
    for path in tree.library_files():
        folder, number = floor_of(path)
        for at, name in includes(tree, path):
            there = floor_of(name)
            if there is None:
                if not name.endswith(".inc"):
                    yield f"{path}:{at}: \"{name}\" is not qualified from the root, or of no floor"
            elif there[1] > number:
                yield f"{path}:{at}: \"{name}\" is on a higher floor ({there[1]} above {number})"
            elif there[1] == number and there[0] != folder:
                yield f"{path}:{at}: \"{name}\" is of the other folder on this floor"
            elif path.endswith(".h") and name.endswith(".pb-c.h"):
                yield f"{path}:{at}: a header includes the generated \"{name}\""


def rings(tree):
    edges = {p: [n for _, n in includes(tree, p) if n in tree.files] for p in tree.c_files((".h",))}
    done, reported = set(), set()

    def walk(path, trail):
        if path in trail:
            ring = trail[trail.index(path):]
            if frozenset(ring) not in reported:
                reported.add(frozenset(ring))
                yield f"{path}:1: include ring: {' → '.join(ring + [path])}"
            return
        if path in done:
            return
        for there in edges.get(path, []):
            yield from walk(there, trail + [path])
        done.add(path)

    for path in sorted(edges):
        yield from walk(path, [])


def objects(tree):
    """Object files of the floors in the build, not those of generated sources and tests."""
    for path in sorted(glob.glob(os.path.join(tree.build, "**/*.o"), recursive=True)):
        name = os.path.relpath(path, tree.build)
        if floor_of(name) and ".pb-c.c.o" not in name:
            yield path, name


def variables(tree):
    """Whatever the loader must keep writable: .data, .bss and their thread-local brothers. Constant tables that hold
    addresses are in .data.rel.ro, which is read-only when the program runs."""
    if not tree.build:
        return
    count = 0
    for path, name in objects(tree):
        count += 1
        out = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            found = re.match(r"[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+) (?:\.hidden )?(\S+)$", line)
            if not found or int(found.group(3), 16) == 0:
                continue
            section = found.group(2)
            if re.match(r"(\.data|\.bss|\.tdata|\.tbss|\*COM\*)", section) and not section.startswith(".data.rel.ro"):
                yield f"{name}:1: the variable {found.group(4)} outlives its function and can be written to ({section})"
    if not count:
        yield f"{tree.build}:1: there are no object files"


# Calls that close a ring and may: `CALLER CALLEE  # why` in each line, files by their path from the root.
RINGS_ALLOWED = "tests/lint/rings-allowed"


def source_of(tree, name):
    """The source of an object file, by its path from the root; None: the tree has it no more (a build keeps old objects)."""
    folder, base = os.path.dirname(os.path.dirname(name)), os.path.basename(name)[:-2]
    if base.startswith("meson-generated_"):
        return os.path.join(folder, re.sub(r"^meson-generated_(\.\._)*", "", base))
    path = os.path.join(folder, base)
    return path if path in tree.files else None


def calls(tree):
    """For each library or program of the build: {caller: {callee: a symbol}}, by sources."""
    groups = {}
    for path, name in objects(tree):
        source = source_of(tree, name)
        if source:
            groups.setdefault(os.path.dirname(name), {})[path] = source
    for group in sorted(groups):
        out = subprocess.run(["nm", "-A", "-P", "-g", *groups[group]], capture_output=True, text=True, check=True).stdout
        has, wants = {}, []
        for line in out.splitlines():
            path, symbol, kind = re.match(r"(.+): (\S+) (\w)", line).groups()
            if kind in "Uw":
                wants.append((groups[group][path], symbol))
            else:
                has[symbol] = groups[group][path]
        edges = {source: {} for source in groups[group].values()}
        for caller, symbol in wants:
            callee = has.get(symbol, caller)
            if callee != caller:
                edges[caller].setdefault(callee, symbol)
        yield group, edges


def way(edges, start, end, without=frozenset()):
    """The shortest way from a file to another by calls, both included; None: there is none."""
    before, todo = {start: None}, [start]
    for at in todo:
        if at == end:
            found = [at]
            while before[found[0]]:
                found.insert(0, before[found[0]])
            return found
        for there in sorted(edges.get(at, {})):
            if there not in before and (at, there) not in without:
                before[there] = at
                todo.append(there)
    return None


def rings_allowed(tree):
    """(line, caller, callee, why) of each row of the list."""
    for at, line in enumerate(tree.text(RINGS_ALLOWED).splitlines() if tree.has(RINGS_ALLOWED) else [], 1):
        row, _, why = line.partition("#")
        if row.strip():
            yield at, (row.split() + [""])[0], (row.split() + [""])[1], why.strip()


def layers(tree):
    """The files of a library, and those of a program, call each other downwards only."""
    if not tree.build:
        return
    rows = list(rings_allowed(tree))
    allowed, needless, count = {row[1:3] for row in rows}, {row[1:3] for row in rows}, 0
    for _, edges in calls(tree):
        count += 1
        reported = set()
        for caller in sorted(edges):
            for callee in sorted(edges[caller]):
                if (caller, callee) in allowed:
                    if way(edges, callee, caller):
                        needless.discard((caller, callee))
                    continue
                back = way(edges, callee, caller, allowed)
                if not back or not reported.isdisjoint(back):
                    continue
                reported.update(back)
                ring = [caller] + back
                steps = [f"{b} ({edges[a][b]})" for a, b in zip(ring, ring[1:])]
                yield f"{caller}:1: ring of calls: {' → '.join([caller] + steps)}"
    for at, caller, callee, why in rows:
        if not callee or not why:
            yield f"{RINGS_ALLOWED}:{at}: CALLER CALLEE  # why"
        elif (caller, callee) in needless:
            yield f"{RINGS_ALLOWED}:{at}: {caller} → {callee} closes no ring: the line can go"
    if not count:
        yield f"{tree.build}:1: there are no object files"


def functions(text):
    """(first line, length) of each function whose body opens in the first column or ends the line of its name."""
    start = None
    for at, line in enumerate(text.splitlines(), 1):
        if start is None and (line == "{" or re.match(r"[a-z_].*\)\s*\{$", line)):
            start = at
        elif start is not None and re.match(r"\}", line):
            yield start, at - start + 1
            start = None


def sizes(tree):
    for path in tree.files:
        if not path.endswith((".c", ".h", ".proto", ".py", ".sh")) and not path.startswith(("tests/", "tools/", ".ci/")):
            continue
        if NO_SPDX.search(path):
            continue
        text = tree.text(path)
        lines = text.count("\n")
        if lines > FILE_MAX:
            yield f"{path}:{lines}: the file has {lines} lines, at most {FILE_MAX}"
        if path.endswith((".py",)):
            continue
        for at, n in functions(text):
            if n > FUNCTION_MAX:
                yield f"{path}:{at}: a function has {n} lines, at most {FUNCTION_MAX}"


def ptrace(tree):
    for path in tree.library_files():
        if path == "checkpoint/tape/tracee.c":
            continue
        for found in re.finditer(r"\b(ptrace\s*\(|(SYS|__NR)_ptrace\b)", tree.code(path)):
            yield f"{path}:{line_of(tree.code(path), found.start())}: ptrace outside checkpoint/tape/tracee.c"


def banned_names(tree):
    return re.findall(r"^#define (\w+)\(\.\.\.\) BANNED", tree.text("base/banned.h"), re.M)


def banned(tree):
    """The compiler stops what uses these names as they are; here is who gets around it."""
    names = banned_names(tree)
    if not {"strcpy", "sprintf", "atoi", "kill", "system"} <= set(names):
        yield "base/banned.h:1: names are missing from the list"
    call = re.compile(r"(?<![\w.>])\(?\s*\b(" + "|".join(names) + r")\b\s*\)?\s*\(")
    undo = re.compile(r"#\s*undef\s+(" + "|".join(names) + r")\b")
    number = re.compile(r"\b(SYS|__NR)_(kill|tkill|tgkill)\b")
    for path in tree.c_files():
        if path == "base/banned.h":
            continue
        code = tree.code(path)
        for what in (call, undo):
            for found in what.finditer(code):
                yield f"{path}:{line_of(code, found.start(1))}: {found.group(1)} is banned (base/banned.h)"
        if path.startswith("tests/victim/") or path.startswith("tests/unit/"):
            continue
        for found in number.finditer(code):
            # a traced thread stays where it is, whatever its number
            if path == "checkpoint/tape/tracee.c" and found.group(2) == "tkill":
                continue
            if not agent_call(tree, path, found):
                yield f"{path}:{line_of(code, found.start())}: {found.group(0)} reaches tasks by number"


def agent_call(tree, path, found):
    """A call on a tape is the target's own, within its pid namespace: the line says `tape_`."""
    code = tree.code(path)
    first = code.rfind("\n", 0, found.start()) + 1
    return "tape_" in code[first:found.start()]


def quiet(tree):
    """Floors below the tools neither print nor exit."""
    call = re.compile(r"(?<![\w.>])(printf|puts|putchar|perror|exit|fprintf|vfprintf|vprintf|err|errx|warn|warnx)\s*\(")
    for path in tree.library_files():
        if path.startswith("tools/"):
            continue
        code = tree.code(path)
        for found in call.finditer(code):
            before = code[code.rfind("\n", 0, found.start()) + 1:found.start()]
            if re.search(r"\b(int|void|struct|enum)\s*\*?$", before):
                continue
            yield f"{path}:{line_of(code, found.start())}: {found.group(1)} in a library"


def null_err(tree):
    """A caller may pass NULL for the error: whoever looks into it, or copies to it, has asked before (base/err.h helps)."""
    used = re.compile(r"(?<![\w>.])err->|\*err = ")
    asked = re.compile(r"if \(err\)|\berr &&|\berr \?|&& err\)|struct err \*err = ")
    for path in tree.library_files():
        if path.startswith("tools/") or path in ("base/err.c", "base/err.h"):
            continue
        lines = tree.code(path).splitlines()
        for at, line in enumerate(lines):
            if used.search(line) and not asked.search(" ".join(lines[max(0, at - 2):at + 1])):
                yield f"{path}:{at + 1}: err may be NULL here"


def spdx(tree):
    for path in tree.files:
        if NO_SPDX.search(path) or path == "LICENSES":
            continue
        head = "\n".join(tree.text(path).splitlines()[:3])
        found = re.search(r"SPDX-License-Identifier: (\S+)", head)
        if not found:
            yield f"{path}:1: no SPDX line"
            continue
        if path.endswith((".c", ".h", ".proto")):
            want = LGPL if path.startswith(LIBRARIES) else GPL
            if found.group(1) != want:
                yield f"{path}:1: {found.group(1)} in a folder of {want}"
    for licence in (LGPL, GPL):
        if not tree.has(f"LICENSES/{licence}.txt"):
            yield f"LICENSES/{licence}.txt:1: missing"


def heads(tree):
    """Each .c of the floors opens with a comment that says what it holds."""
    for path in [f for f in tree.library_files() if f.endswith(".c")]:
        found = re.match(r"/\* SPDX[^\n]*\*/\n(/\*.*?\*/)", tree.text(path), re.S)
        lines = sum(1 for line in found.group(1).splitlines() if re.search(r"\w", line)) if found else 0
        if not HEAD_MIN <= lines <= HEAD_MAX:
            yield f"{path}:2: the opening comment has {lines} lines, {HEAD_MIN} to {HEAD_MAX} are wanted"


def kinds(tree):
    numbers, stems = {}, {}
    at_list = "checkpoint/kind/kinds.list"
    for at, number, stem, cls, state in tree.kinds():
        where = f"{at_list}:{at}"
        if not number.isdigit() or not 16 <= int(number) <= 65535:
            yield f"{where}: '{number}' is no number from 16 to 65535"
        elif number in numbers:
            yield f"{where}: {number} is taken by {numbers[number]}"
        if stem in stems:
            yield f"{where}: {stem} stands here twice"
        if not cls or state not in ("kept", "refused"):
            yield f"{where}: {stem} is neither kept nor refused"
        numbers[number] = stems[stem] = stem
        if state == "kept":
            for path in (f"checkpoint/kind/{stem}.c", f"proto/{stem}.proto", f"tests/unit/{stem}.c",
                         f"tests/victim/{stem}.c"):
                if path not in tree.files:
                    yield f"{where}: {stem} is kept and has no {path}"


def proto_messages(text):
    """(line, name, body) of each message and enum, nested ones too."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", _blank_keep, text, flags=re.S)
    for found in re.finditer(r"\b(message|enum)\s+(\w+)\s*\{", text):
        depth, end = 1, found.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield line_of(text, found.start()), found.group(1), found.group(2), text[found.end():end - 1]


def innermost(body):
    """The body of a message without the messages and enums in it."""
    while True:
        less = re.sub(r"\b(message|enum|oneof)\s+\w+\s*\{[^{}]*\}", " ", body)
        if less == body:
            return body
        body = less


def _blank_keep(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def protos(tree):
    """Numbers of fields and enum values, once each, and none that is reserved; no recursive message."""
    for path in [f for f in tree.files if f.endswith(".proto")]:
        for at, what, name, body in proto_messages(tree.text(path)):
            own = innermost(body)
            rows = re.findall(r"(\w+)\s*=\s*(\d+)\s*[;\[]", own)
            if what == "message":
                oneofs = re.findall(r"\boneof\s+\w+\s*\{([^{}]*)\}", body)
                rows += [r for o in oneofs for r in re.findall(r"(\w+)\s*=\s*(\d+)\s*[;\[]", o)]
            gone = set(re.findall(r"\d+", " ".join(re.findall(r"\breserved\s+([\d,\s]+);", body))))
            seen = {}
            for field, number in rows:
                if number in seen:
                    yield f"{path}:{at}: {name}: {field} has the number {number} of {seen[number]}"
                if number in gone:
                    yield f"{path}:{at}: {name}: {field} has the reserved number {number}"
                seen[number] = field
            if what == "message" and re.search(rf"\b(optional|repeated|required)\s+{name}\s", body):
                yield f"{path}:{at}: {name} holds itself"


def said(tree, word, where=None):
    pattern = re.compile(r"(?<![\w-])" + re.escape(word) + r"(?![\w-])")
    pages = [where] if where else tree.docs()
    return any(page in tree.files and pattern.search(tree.text(page)) for page in pages)


def verbs(tree):
    """Every row of a program's table of verbs, `{"name", …`, stands in a page of docs/ that names the program."""
    for path in [f for f in tree.files if re.match(r"tools/[\w-]+\.c$", f)]:
        program = os.path.basename(path)[:-2].split("-")[0]
        text = tree.text(path)
        is_program = re.search(r"^int main\(", text, re.M)
        for table in re.finditer(r"struct \w*(?:verb|command)\w*\s+\w+\[\]\s*=\s*\{(.*?)\n\};", text, re.S):
            for row in re.finditer(r"^\s*\{\s*(?:\.name\s*=\s*)?\"([a-z][a-z -]*)\"", table.group(1), re.M):
                at = line_of(text, table.start(1) + row.start(1))
                pages = [p for p in tree.docs() if said(tree, program, p) and said(tree, row.group(1), p)]
                if not pages:
                    yield f"{path}:{at}: no page of docs/ names `{program} {row.group(1)}`"
        if is_program and not any(said(tree, program, p) for p in tree.docs()):
            yield f"{path}:1: no page of docs/ names {program}"


def messages(tree):
    """The wire's messages in docs/PROTOCOL.md, the image's own in docs/FORMAT.md; a kind's message is described by its
    own .proto, where a comment opens it."""
    stems = {stem for _, _, stem, _, _ in tree.kinds()}
    if tree.has("migrate/msg.h"):
        table = re.search(r"enum msg_type \{(.*?)\};", tree.text("migrate/msg.h"), re.S)
        for name in re.findall(r"\bMSG_(\w+)\s*=", table.group(1) if table else ""):
            camel = "Wire" + name.title().replace("_", "")
            if not said(tree, name, "docs/PROTOCOL.md") and not said(tree, camel, "docs/PROTOCOL.md"):
                yield f"migrate/msg.h:1: docs/PROTOCOL.md does not name {name}"
    for path in [f for f in tree.files if f.startswith("proto/") and f.endswith(".proto")]:
        stem = os.path.basename(path)[:-6]
        if stem not in stems and not said(tree, stem, "docs/FORMAT.md"):
            yield f"{path}:1: docs/FORMAT.md does not name {stem}"
        if stem in stems and not re.search(r"^\s*(//|/\*(?! SPDX)|\*)\s*\w", re.sub(r"(?m)^.*SPDX.*$", "", tree.text(path)), re.M):
            yield f"{path}:1: nothing says what the message holds"


def exits(tree):
    """docs/EXIT-CODES.md is base/exit.h as a table: number, name and sentence of each row, and no other row."""
    page = "docs/EXIT-CODES.md"
    rows = re.findall(r"X\((\w+), (\d+), \"([^\"]+)\"\)", tree.text("base/exit.h"))
    if not rows or page not in tree.files:
        yield f"{page}:1: missing, or base/exit.h has no rows"
        return
    there = re.findall(r"^\| (\d+) \| (\w+) \| (.+?) \|", tree.text(page), re.M)
    documented = {(name, number): text for number, name, text in there}
    for name, number, text in rows:
        if documented.pop((name, number), "").replace("`", "") != text.replace("`", ""):
            yield f"base/exit.h:1: {page} does not say: | {number} | {name} | {text} |"
    for name, number in documented:
        yield f"{page}:1: {number} {name} is not in base/exit.h"
    if len({n for _, n, _ in rows}) != len(rows):
        yield "base/exit.h:1: a number stands there twice"


def paths(tree):
    """Nobody's own directory stands in the tree."""
    for path in tree.files:
        if NO_SPDX.search(path):
            continue
        for found in re.finditer(r"(?<![\w.])/(work|home/\w+|root/\w+)/\w", tree.text(path)):
            if path.startswith("tests/lint/") or found.group(0).startswith("/root/."):
                continue
            yield f"{path}:{line_of(tree.text(path), found.start())}: the path {found.group(0)}… is of one machine"


RULES = {
    "floors": floors, "rings": rings, "layers": layers, "variables": variables, "sizes": sizes, "ptrace": ptrace, "banned": banned,
    "quiet": quiet, "null-err": null_err, "spdx": spdx, "heads": heads, "kinds": kinds, "protos": protos, "verbs": verbs,
    "messages": messages, "exits": exits, "paths": paths,
}
