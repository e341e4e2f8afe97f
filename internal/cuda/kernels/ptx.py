"""Compiles the kernels to PTX that every driver of CUDA 12 and later takes.

    pip install -r kernels/requirements.txt
    python3 kernels/ptx.py            # writes kernels.ptx.gz (go generate does this)
    python3 kernels/ptx.py --check    # fails if kernels.ptx.gz is not what the kernels compile to
    python3 kernels/ptx.py --to DIR   # writes each kernel to a file of its own, for ptxas -v

Each kernel becomes a module of its own, with the functions and tables that it
needs: the driver translates a module when it is loaded, which takes it seconds for
all kernels, and a program uses few.
"""
import ctypes
import glob
import gzip
import os
import re
import sys

ARCHITECTURE = b"--gpu-architecture=compute_70"
here = os.path.dirname(os.path.abspath(__file__))
target = os.path.join(here, "..", "kernels.ptx.gz")
WORD = re.compile(r"[A-Za-z_$][\w$]*")


def library():
    import importlib.util

    spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    if spec is None:
        sys.exit("ptx.py: NVRTC 12.0 is missing: pip install -r internal/cuda/kernels/requirements.txt")
    folder = os.path.join(list(spec.submodule_search_locations)[0], "lib")
    # NVRTC looks for its built-ins where nobody puts them; opened first they are there.
    ctypes.CDLL(glob.glob(os.path.join(folder, "libnvrtc-builtins.so*"))[0], mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(glob.glob(os.path.join(folder, "libnvrtc.so*"))[0])


def read(name):
    with open(os.path.join(here, name), encoding="utf-8") as f:
        return re.sub(r'^#include "common.cuh".*$|^#pragma once.*$', "", f.read(), flags=re.M)


def compiled(nvrtc, name):
    """Returns the PTX of a file."""
    source = "".join(f'#line 1 "{n}"\n{read(n)}\n' for n in ("common.cuh", name)).encode()
    program = ctypes.c_void_p()

    def check(code, what):
        if code:
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, log)
            sys.exit(f"ptx.py: {what} of {name} failed ({code})\n{log.value.decode()}")

    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), 0, None, None), "nvrtcCreateProgram")
    options = [ARCHITECTURE, b"--std=c++17", b"--fmad=false", b"--device-as-default-execution-space"]  # the last for lambdas
    check(nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options)), "the compilation")
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)), "nvrtcGetPTXSize")
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx), "nvrtcGetPTX")
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    # Comments name the compiler's build; the code is the same without them.
    return re.sub(r"^\s*//.*\n|^\s*\n", "", ptx.value.decode(), flags=re.M)


def parts(ptx):
    """Returns what a file of PTX begins with, and a list of (name, whether it is a kernel, text) of what is in it."""
    head = re.match(r"\.version .*\n\.target .*\n\.address_size .*\n", ptx).group()
    found, start, depth = [], len(head), 0
    for m in re.compile(r"[{};]").finditer(ptx, start):
        depth += {"{": 1, "}": -1, ";": 0}[m.group()]
        text = ptx[start : m.end()]
        if depth or (m.group() == "}" and not re.search(r"\.(func|entry)\b", text)):
            continue  # the braces of a table, behind which is a semicolon
        start = m.end()
        declared = re.match(r"\s*(?:\.\w+\s+)*?\.(entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)", text)
        if declared:
            found.append((declared.group(2), declared.group(1) == "entry", text))
        else:
            found.append((WORD.findall(re.split(r"[\[=;]", text)[0])[-1], False, text))
    return head, found


def modules(ptx):
    """Returns a module for each kernel of a file: its name and its PTX. Functions that rules
    call are none, and come as they are."""
    head, found = parts(ptx)
    texts = {}
    for name, _, text in found:
        texts.setdefault(name, []).append(text)
    for kernel, entry, text in found:
        if kernel.startswith("map_"):
            if more := set(WORD.findall(text)) & texts.keys() - {kernel}:
                sys.exit(f"ptx.py: {kernel} needs {more}, want a function that stands alone")
            yield kernel, text.lstrip("\n") + "\n"
        if not entry:
            continue
        needed, todo = {kernel}, [text]
        while todo:
            for word in set(WORD.findall(todo.pop())) & texts.keys() - needed:
                needed.add(word)
                todo += texts[word]
        yield kernel, head + "".join(t for n, _, t in found if n in needed).lstrip("\n") + "\n"


def main():
    nvrtc = library()
    all = {}
    for file in sorted(glob.glob(os.path.join(here, "*.cu"))):
        for kernel, ptx in modules(compiled(nvrtc, os.path.basename(file))):
            if kernel in all:
                sys.exit(f"ptx.py: there are two kernels {kernel}, one of them in {os.path.basename(file)}")
            all[kernel] = ptx
    if "--to" in sys.argv[1:]:
        folder = sys.argv[sys.argv.index("--to") + 1]
        os.makedirs(folder, exist_ok=True)
        for kernel, ptx in all.items():
            with open(os.path.join(folder, kernel + ".ptx"), "w") as f:
                f.write(ptx)
        return
    # A line with the kernel's name goes before each module (image.go reads this).
    text = "// Code generated by ptx.py with NVRTC 12.0. DO NOT EDIT.\n" + "".join(f"// kernel {k}\n{all[k]}" for k in all)
    if "--check" in sys.argv[1:]:
        with gzip.open(target, "rt", encoding="utf-8") as f:
            if f.read() != text:
                sys.exit("ptx.py: kernels.ptx.gz is not what the kernels compile to; run go generate -tags cuda ./internal/cuda")
        return
    with open(target, "wb") as f:
        f.write(gzip.compress(text.encode(), mtime=0))
    print(f"kernels.ptx.gz: {len(all)} kernels, {len(text)} bytes, {os.path.getsize(target)} compressed")


main()
