# What the compiler made of every CUDA kernel: registers, shared memory, stack and spills, as a table.
#
#   python3 tools/ptxas_table.py --arch 80 90 100 > docs/kernel_figures.md
#
# Exit code 77: no nvcc here. That nothing spills is the build's to see: CMake's LAMINA_SPILLS_FAIL.
# SPDX-License-Identifier: Apache-2.0
import argparse
import concurrent.futures
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENTRY = re.compile(r"Compiling entry function '([^']+)' for 'sm_(\d+)'")
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:, used (\d+) barriers)?(?:, (\d+) bytes smem)?")


def compile_for(nvcc, source, arch):
    """Rows (file, mangled name, registers, shared bytes, stack bytes, spilled bytes)."""
    command = [nvcc, "-std=c++20", "-O2", "-DNDEBUG", "-DFMT_USE_CONSTEXPR=1", f"-I{ROOT}",
               f"-arch=sm_{arch}", "-cubin", "-Xptxas", "-v", "-o", os.devnull, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed:\n{done.stderr}")
    rows, name, stack, spill = [], None, 0, 0
    for line in done.stderr.splitlines():
        if match := ENTRY.search(line):
            name = match[1]
        elif match := MEMORY.search(line):
            stack, spill = int(match[1]), int(match[2]) + int(match[3])
        elif (match := USED.search(line)) and name is not None:
            rows.append((source.name, name, int(match[1]), int(match[3] or 0), stack, spill))
            name, stack, spill = None, 0, 0
    return rows


def demangled(names):
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                          check=True)
    return [short(text) for text in done.stdout.splitlines()]


def short(name):
    """The kernel with its template arguments: no namespaces, no parameters, no return type."""
    name = name.replace("(anonymous namespace)::", "").replace("lamina::cuda::", "")
    name = name.replace("lamina::", "")
    name = re.sub(r"^void ", "", name)
    depth = 0
    for at, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            return name[:at]
    return name


def main():
    parser = argparse.ArgumentParser(description="Registers, memory and spills of every kernel.")
    parser.add_argument("--arch", nargs="+", default=["90"], help="such as 80 90 100")
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    args = parser.parse_args()
    if not os.access(args.nvcc, os.X_OK):
        print("SKIP: no nvcc on this machine")
        sys.exit(77)
    sources = [pathlib.Path(path) for path in sorted(glob.glob(str(ROOT / "kernels/cuda/*.cu")))]
    jobs = [(args.nvcc, source, arch) for arch in args.arch for source in sources]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = list(pool.map(lambda job: compile_for(*job), jobs))

    table = {}
    for (_, _, arch), rows in zip(jobs, results):
        for row, name in zip(rows, demangled([row[1] for row in rows])):
            table.setdefault((row[0], name), {})[arch] = row[2:]
    if not table:
        sys.exit("no kernel was found")

    version = subprocess.run([args.nvcc, "--version"], capture_output=True, text=True, check=True)
    print("# Figures of the CUDA kernels\n")
    print("Registers a thread, and bytes of shared memory a block, of stack and of spills where "
          "there are any. Written by\n`tools/ptxas_table.py --arch "
          f"{' '.join(args.arch)}` with {version.stdout.splitlines()[-1]}.\n")
    print("| source | kernel | " + " | ".join(f"sm_{arch}" for arch in args.arch) + " |")
    print("|---|---|" + "---|" * len(args.arch))
    for (source, name), figures in sorted(table.items()):
        cells = []
        for arch in args.arch:
            registers, shared, stack, spill = figures[arch]
            cells.append(f"{registers}" + (f", {shared} B shared" if shared else "")
                         + (f", {stack} B stack" if stack else "")
                         + (f", {spill} B spilled" if spill else ""))
        print(f"| {source} | `{name}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
