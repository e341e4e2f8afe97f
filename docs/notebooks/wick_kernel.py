"""A Jupyter kernel for Go whose cells are one program.

    python wick_kernel.py install [--user | --sys-prefix | --prefix=DIR]

registers it under the name "wick": in the virtual environment that runs the
command, or else for the user. It needs ipykernel, and go on the PATH.

The cells that have run, in the order of their first runs, make one program, like
the blocks of a page in docs. Running a cell compiles the program up to that cell,
runs it from its beginning and shows what this cell prints; what the cells before
it print is dropped. A cell that is run again takes its old place; one that does not
compile, fails or is interrupted changes nothing. A cell that starts with func,
type, const or var stands outside main and is only compiled; imports may start any
cell. A cell that starts with "package main" is a program by itself. A printed line
that ends in the path of a .png or .svg file shows the picture.

GoNB 0.11.3, the Go kernel there is, does not fit: it makes a program of each cell,
in which the variables of main are gone and those of the package are made anew.
"""

import base64
import codecs
import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import uuid

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

BLANK = r"(?:\s|//[^\n]*|/\*.*?\*/)*"
IMPORT = re.compile(BLANK + r"import\b\s*(?:\((?P<group>(?://[^\n]*|[^)])*?)\)|(?P<one>(?:[\w.]+\s+)?\"[^\"\n]+\"))", re.S)
SPEC = re.compile(r"(?:^|;)[ \t]*((?:[\w.]+[ \t]+)?\"[^\"\n]+\")", re.M)
OUTSIDE = re.compile(BLANK + r"((func|type|const|var) |$)", re.S)
WHOLE = re.compile(BLANK + r"package main\b", re.S)
MESSAGE = re.compile(r"\s*(?:\S*/)?(cell\[(\d+)\]|end|main\.go):(\d+)(?::\d+)?(?:\[\S*\])?: (.*)")
UNUSED = re.compile(r"declared and not used: (\w+)$|(\"\S+\") imported (?:as \w+ )?and not used$")
DUMP = re.compile(r"^(panic: |fatal error: )", re.M)
PICTURE = re.compile(r"(?:.*\s)?(\S+\.(?:png|svg))\s*")


class Cell:
    """A cell's code; number is that of its run, which Jupyter shows beside it."""

    def __init__(self, number, code):
        self.number, self.code, self.imports = number, code, []  # imports: (line, column, spec)
        at = 0
        while m := IMPORT.match(code, at):
            found = SPEC.finditer(code, *m.span("group")) if m["group"] is not None else [m]
            for spec in found:
                text, start = (spec[1], spec.start(1)) if m["group"] is not None else (m["one"], m.start("one"))
                self.imports.append((code.count("\n", 0, start) + 1, start - code.rfind("\n", 0, start), text))
            at = m.end()
        self.body = re.sub(r"[^\n]", " ", code[:at]) + code[at:]  # lines and columns stay
        self.whole = WHOLE.match(code) is not None
        self.outside = OUTSIDE.match(self.body) is not None


class Failure(Exception):
    """What is shown as a cell's error: a word for the kind, and the lines."""

    def __init__(self, kind, lines):
        super().__init__(lines[0] if lines else "")
        self.kind, self.lines = kind, lines


def program(cells, mark, names, dropped):
    """The program of cells, whose last one's output stands behind mark. It uses the
    variables in names and leaves out the imports in dropped."""
    last = cells[-1]
    if last.whole:
        return f"//line cell[{last.number}]:1:1\n{last.code}\n"
    # Without a main package nothing is linked, which declarations do not need.
    out = ["package cells" if last.outside else "package main", 'import wick_os "os"']
    seen = set(dropped)
    for c in cells:
        for line, column, spec in c.imports:
            if spec not in seen:
                seen.add(spec)
                out.append(f"import /*line cell[{c.number}]:{line}:{column}*/{spec}")
    body = []
    for c in cells:
        if c is last:
            body.append(f"wick_os.Stdout.WriteString({json.dumps(mark)}); wick_os.Stderr.WriteString({json.dumps(mark)})")
        (out if c.outside else body).extend([f"//line cell[{c.number}]:1:1", c.body])
    return "\n".join([*out, "//line end:1:1", "func main() {", *body, "//line end:1:1", *(f"_ = {n}" for n in names), "}", ""])


def place(cells, number, line):
    """A line of a cell, as lines to show."""
    for c in cells:
        code = c.code.split("\n")
        if c.number == number and line <= len(code):
            return [f"cell [{number}], line {line}:", f"    {code[line - 1].strip()}"]
    return []


def build(cells, mark, folder):
    """Compiles the program of cells and returns the path of its binary. What cells
    further down may still use is no error: variables of main and imports."""
    source, binary = os.path.join(folder, "main.go"), os.path.join(folder, "cells.exe")
    names, dropped = set(), set()
    while True:
        with open(source, "w", encoding="utf-8") as f:
            f.write(program(cells, mark, sorted(names), dropped))
        output = [] if cells[-1].outside else ["-o", binary]
        child = start(["go", "build", "-gcflags=-e", *output, source], stderr=subprocess.STDOUT)
        try:
            text = child.communicate()[0].decode(errors="replace")
        except KeyboardInterrupt:
            stop(child)
            raise
        if child.returncode == 0:
            return binary
        errors = [m for m in map(MESSAGE.fullmatch, text.splitlines()) if m]
        more, rest = False, []
        for m in errors:
            u = None if cells[-1].whole else UNUSED.match(m[4])
            spec = {s for c in cells for n, _, s in c.imports if u and u[2] and m[2] == str(c.number) and m[3] == str(n) and s.endswith(u[2])} - dropped
            if u and u[1] and u[1] not in names:
                names.add(u[1])
                more = True
            elif spec:
                dropped |= spec
                more = True
            else:
                rest.append(m)  # also of an inner block, where "_ = x" at main's end does not help
        inside = [m for m in rest if m[2]]
        if more and not inside:
            continue
        lines = []
        for m in (inside or rest)[:10]:
            where = place(cells, int(m[2]), int(m[3])) if m[2] else []
            lines += [f"{where[0]} {m[4]}", *where[1:]] if where else [f"at the cell's end: {m[4]}"]
        if inside and all(int(m[2]) != cells[-1].number for m in inside):
            lines.append("(What stands in a cell further up: run that one again, or restart the kernel and run all cells.)")
        if any(re.search(r"non-declaration statement|unexpected name \w+, expected \($", m[4]) for m in inside):
            lines.append("(A cell that starts with func, type, const or var has declarations only; other cells declare no functions.)")
        if not errors or "go get" in text or "go.mod" in text:
            lines = [re.sub(r"^(?:\S*/)?cell\[(\d+)\]:(\d+):\d+:", r"cell [\1], line \2:", line) for line in text.splitlines() if line[:2] != "# "]
        if "go.mod file not found" in text:
            lines.append("(In the notebook's folder: go mod init notebooks && go get github.com/wick-ml/wick)")
        raise Failure("the cell does not compile", lines)


def start(args, **kinds):
    """Starts a process in a group of its own, which stop ends."""
    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **kinds, start_new_session=os.name == "posix")


def stop(child):
    """Interrupts a process and its group, and kills them when they go on or at a
    second interrupt."""
    kill = (lambda s: os.killpg(child.pid, s)) if os.name == "posix" else (lambda s: child.kill())
    with contextlib.suppress(ProcessLookupError):
        kill(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            child.wait(5)
        kill(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    child.wait()


class WickKernel(Kernel):
    implementation, implementation_version = "wick", "1"
    language_info = {"name": "go", "version": "1.26", "mimetype": "text/x-go", "file_extension": ".go", "codemirror_mode": "go", "pygments_lexer": "go"}
    banner = "Go, one program of all cells"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.cells = {}  # by id, in the order of their first runs

    async def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, *, cell_meta=None, cell_id=None):
        reply = {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        if silent or not code.strip():
            return reply
        cell_id = cell_id or f"run {self.execution_count}"
        cells = []
        for other, cell in self.cells.items():
            if other == cell_id:
                break
            cells.append(cell)
        cells.append(Cell(self.execution_count, code))
        try:
            with tempfile.TemporaryDirectory(prefix="wick-", ignore_cleanup_errors=True) as folder:
                mark = "" if cells[-1].whole else f"\0{uuid.uuid4()}\n"
                binary = build(cells, mark, folder)
                if not cells[-1].outside:
                    self.run(cells, binary, mark)
            if not cells[-1].whole:
                self.cells[cell_id] = cells[-1]
            return reply
        except Failure as e:
            failure = e
        except KeyboardInterrupt:
            failure = Failure("interrupted", [])
        except FileNotFoundError as e:
            failure = Failure("not found", [f"{e.filename} is not there; Go has to be installed, with go on the PATH"])
        error = {"ename": failure.kind, "evalue": str(failure), "traceback": [f"\x1b[31m{failure.kind}\x1b[0m", *failure.lines]}
        self.send_response(self.iopub_socket, "error", error)
        return {"status": "error", "execution_count": self.execution_count, **error}

    def run(self, cells, binary, mark):
        """Runs the program and shows what stands behind mark, as it comes."""
        child = start([binary], stderr=subprocess.PIPE)
        chunks = queue.Queue()

        def read(name, pipe):
            while chunk := os.read(pipe.fileno(), 1 << 16):
                chunks.put((name, chunk))
            chunks.put((name, b""))

        for name, pipe in [("stdout", child.stdout), ("stderr", child.stderr)]:
            threading.Thread(target=read, args=(name, pipe), daemon=True).start()
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        before, seen = {"stdout": "", "stderr": ""}, {"stdout": not mark, "stderr": not mark}
        dump, self.line, open_pipes = "", "", 2
        try:
            while open_pipes:
                name, chunk = chunks.get()
                text = decoders[name].decode(chunk, final=not chunk)
                open_pipes -= not chunk
                if not seen[name]:
                    old, found, text = (before[name] + text).partition(mark)
                    before[name], seen[name] = old[-(1 << 16):], bool(found)
                if name == "stderr" and (dump or (m := DUMP.search(text))):
                    cut = 0 if dump else m.start()
                    dump, text = dump + text[cut:], text[:cut]
                self.show(name, text)
            child.wait()
        except KeyboardInterrupt:
            stop(child)
            raise
        if child.returncode == 0 and seen["stdout"]:
            self.show("stderr", dump)
            return
        if not seen["stderr"]:  # a cell further up failed this time
            m = DUMP.search(before["stderr"])
            dump = before["stderr"][m.start():] if m else dump
            self.show("stderr", before["stderr"][:m.start() if m else None])
        if dump:
            # The message of the last panic and the cells' lines; the rest of the dump
            # is the library's.
            panics = re.sub(r" \[recovered[^\]]*\]|\n\[signal .*", "", dump.partition("\n\ngoroutine ")[0])
            lines = re.split(r"\n\t(?=panic: )", panics)[-1].strip().split("\n")
            for number, line in list(dict.fromkeys(re.findall(r"cell\[(\d+)\]:(\d+)", dump)))[:10]:
                lines += place(cells, int(number), int(line))
            raise Failure("the program failed", lines)
        if child.returncode < 0:
            raise Failure("the program failed", [f"a signal ended it: {signal.Signals(-child.returncode).name}"])
        if child.returncode == 0:
            raise Failure("the program failed", ["it ended in a cell further up, with os.Exit or return: run that one again without"])
        raise Failure("the program failed", [f"exit status {child.returncode}"])

    def show(self, name, text):
        """Sends output to the notebook, and the pictures whose paths end its lines."""
        pending = ""
        for part in re.findall(r"[^\n]*\n|[^\n]+", text):
            pending += part
            if name != "stdout":
                continue
            self.line += part
            if part[-1] != "\n":
                continue
            if (m := PICTURE.fullmatch(self.line)) and os.path.isfile(m[1]):
                self.send_response(self.iopub_socket, "stream", {"name": name, "text": pending})
                pending = ""
                with open(m[1], "rb") as f:
                    picture = f.read()
                data = {"image/png": base64.b64encode(picture).decode()} if m[1].endswith(".png") else {"image/svg+xml": picture.decode(errors="replace")}
                self.send_response(self.iopub_socket, "display_data", {"data": {**data, "text/plain": m[1]}, "metadata": {}})
            self.line = ""
        if pending:
            self.send_response(self.iopub_socket, "stream", {"name": name, "text": pending})


def install(args):
    import argparse
    import shutil

    from jupyter_client.kernelspec import KernelSpecManager

    parser = argparse.ArgumentParser(prog="wick_kernel.py install")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user (the default outside a virtual environment)")
    where.add_argument("--sys-prefix", action="store_true", help="in the environment of this Python (the default inside a virtual environment)")
    where.add_argument("--prefix", help="in a folder's share/jupyter")
    args = parser.parse_args(args)
    prefix = args.prefix
    if prefix is None and (args.sys_prefix or not args.user and sys.prefix != sys.base_prefix):
        prefix = sys.prefix
    spec = {
        "argv": [sys.executable, "{resource_dir}/wick_kernel.py", "-f", "{connection_file}"],
        "display_name": "Go (Wick)",
        "language": "go",
        "interrupt_mode": "signal",
    }
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(__file__, os.path.join(folder, "wick_kernel.py"))
        with open(os.path.join(folder, "kernel.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f, indent=1)
        print(KernelSpecManager().install_kernel_spec(folder, "wick", user=prefix is None, prefix=prefix))


if __name__ == "__main__":
    if sys.argv[1:2] == ["install"]:
        install(sys.argv[2:])
    else:
        IPKernelApp.launch_instance(kernel_class=WickKernel)
