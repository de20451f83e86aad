# A test of the kernel tests: builds each variant of the kernels with one planted fault, runs the
# cases of its op and demands that one of them fails.
#
#   python3 tests/mutants/run.py --build build/default                  every fault
#   python3 tests/mutants/run.py --build build/default --sample 20      a fixed, spread subset
#   python3 tests/mutants/run.py --build build/default --only 'pool' --kind edge --verbose
#   python3 tests/mutants/run.py --list
#
# The programs have to be built: ninja kernel_tests simt_tests. The cpu kernels are those of this
# build; those of CUDA run on the host (tests/simt), so no GPU is needed. A fault is found when the
# program says which case failed; a crash counts when the program had said which test it was in,
# and a hang when it ran into --timeout: both are named as such. Races may hide: a cuda variant runs
# in up to three orders of its threads, and a fault that takes chance up to CHANCES times.
# Ends with 1 when a fault survives, with 2 when a variant cannot be built, the list is out of step
# with the code, or the suite fails without a fault.
# SPDX-License-Identifier: Apache-2.0
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import faults as lists

PROGRAMS = {"cpu": "bin/kernel_tests", "cuda": "bin/simt_tests"}
# Of an op: what is tested beside its tables, and one backend's implementations, asked last.
SUITES = {"loss": ("LossHistory",), "optimizer": ("LossScaleKernel",)}
FURTHER = {("cpu", op): f"Cpu{name}.*" for op, name in
           (("activation", "Functions"), ("conv2d", "Conv2d"), ("linear", "Linear"),
            ("optimizer", "Optimizers"), ("batch_norm", "BatchNorm"))}
CHANCES = 10
# How a failing case is named: by the line that repeats it, or else by GoogleTest.
CASE = re.compile(r"--case '([^']+)' --pass (\w+) --dtype (\w+)")
TEST = re.compile(r"^\[  FAILED  \] (\S+?/\S+|Cpu\S+?)(?:,| \()", re.M)
RUNNING = re.compile(r"^\[ RUN      \] (\S+)", re.M)


def suite_command(program, backend, op, further=False):
    """What runs the cases of an op: the one place that knows the program's arguments."""
    name = "".join(word.capitalize() for word in op.split("_"))
    suites = (op, f"*{name}Kernel") + tuple(f"*{suite}" for suite in SUITES.get(op, ()))
    wanted = FURTHER[backend, op] if further else ":".join(f"{s}.*/{backend}" for s in suites)
    return [str(program), f"--gtest_filter={wanted}", "--gtest_fail_fast"]


def plan_runs(fault):
    """(environment, further suites) of the runs of a fault, until one fails."""
    if fault.backend == "cuda":
        orders = ("forward", "reverse", "random") if fault.kind == "race" else ("forward",)
        return [({"LAMINA_SIMT_ORDER": order}, False) for order in orders]
    # Threads that wait without sleep start together, so that races meet.
    races = [({"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "10000000"}, False)] * CHANCES
    runs = races if fault.chance else [({}, False)]
    return runs + [({}, True)] * (("cpu", fault.op) in FURTHER)


def run_suite(program, backend, op, environment, further, timeout):
    """(verdict, what it says): passed, failed, crashed, or hung."""
    command = suite_command(program, backend, op, further)
    environment = {**os.environ, "GOMP_SPINCOUNT": "2000", "LAMINA_PLAN_CACHE": "off",
                   **environment}
    try:
        done = subprocess.run(command, cwd=lists.ROOT, env=environment, timeout=timeout, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(errors="replace"), None
    if status == 0:
        return ("passed", "") if "[  PASSED  ] 0 tests" not in output else ("empty", str(command))
    case = CASE.search(output)
    failed = TEST.search(output)
    named = "/".join(case.groups()) if case else failed.group(1) if failed else ""
    if status is None or status < 0:
        started = RUNNING.findall(output)
        named = named or (started[-1] if started else "")
        return ("hung" if status is None else "crashed"), named
    return "failed", named or "no case: " + output[-300:]


class Build:
    """The commands of a build folder that make the programs."""

    def __init__(self, folder):
        self.folder = folder
        self.compile = {}
        for entry in json.loads((folder / "compile_commands.json").read_text()):
            words = shlex.split(entry["command"])
            backend = "cuda" if "-DLAMINA_SIMT" in words else "cpu"
            self.compile.setdefault((backend, entry["file"]), (words, entry["directory"]))
        self.link = {backend: self.link_command(target) for backend, target in PROGRAMS.items()}

    def link_command(self, target):
        if not (self.folder / target).exists():
            lists.refuse(f"{self.folder / target} does not exist; build it first: "
                         f"ninja -C {self.folder} {pathlib.Path(target).name}")
        text = subprocess.run(["ninja", "-t", "commands", "-s", target], cwd=self.folder,
                              check=True, text=True, stdout=subprocess.PIPE).stdout
        parts = [[]]
        for word in shlex.split(text):
            parts.append([]) if word == "&&" else parts[-1].append(word)
        for words in parts:
            if "-o" in words and words[words.index("-o") + 1] == target:
                return words
        lists.refuse(f"no command of ninja's links {target}: {text}")

    def variant(self, fault, folder):
        """The program with the fault in it; None and the compiler's words where there is none."""
        copy = folder / fault.file
        copy.parent.mkdir(parents=True)
        copy.write_text(fault.mutated())
        source = str(lists.ROOT / fault.builds)
        if (fault.backend, source) not in self.compile:
            lists.refuse(f"{fault.name}: {fault.builds} is not compiled for {fault.backend} there.")
        words, directory = self.compile[fault.backend, source]
        words = list(words)
        target = words.index("-o") + 1
        replaced, words[target] = words[target], str(folder / "fault.o")
        if fault.builds == fault.file:
            words[words.index(source)] = str(copy)
        # In front of the sources' own folder: all includes start there. Warnings are expected.
        words[1:1] = [f"-I{folder}"]
        error = self.attempt(words + ["-w"], directory)
        if error:
            return None, error
        # In front of all: of an archive's members and of inline functions the first one is taken.
        link = [word for word in self.link[fault.backend] if word != replaced]
        link[link.index("-o") + 1] = str(folder / "variant")
        first = next(i for i, word in enumerate(link) if word.endswith((".o", ".a")))
        link[first:first] = [str(folder / "fault.o")]
        error = self.attempt(link, self.folder)
        return (None, error) if error else (folder / "variant", "")

    @staticmethod
    def attempt(words, directory):
        done = subprocess.run(words, cwd=directory, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.stdout[-2000:] if done.returncode else ""


def judge(build, fault, args):
    """(verdict, text, seconds to build, seconds to run)"""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lamina-fault-"))
    try:
        start = time.perf_counter()
        program, error = build.variant(fault, folder)
        built = time.perf_counter()
        if program is None:
            return "broken", error, built - start, 0.0
        verdict, text = "survived", ""
        for number, (environment, further) in enumerate(plan_runs(fault), 1):
            verdict, text = run_suite(program, fault.backend, fault.op, environment, further,
                                      args.timeout)
            if verdict != "passed":
                text += f" (run {number})" if number > 1 else ""
                break
        verdict = {"passed": "survived", "failed": "found", "empty": "broken"}.get(verdict, verdict)
        if verdict in ("found", "crashed") and (not text or text.startswith("no case")):
            verdict = "unnamed"
        return verdict, text, built - start, time.perf_counter() - built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_unmutated(build, chosen, args, pool):
    """The suite has to pass without a fault, op by op."""
    wanted = sorted({(fault.backend, fault.op) for fault in chosen})
    jobs = {pair: pool.submit(run_suite, build.folder / PROGRAMS[pair[0]], *pair, {}, False,
                              args.timeout) for pair in wanted}
    for (backend, op), job in jobs.items():
        verdict, text = job.result()
        if verdict != "passed":
            print(f"Without a fault the cases of {op} on {backend} should pass: {verdict} {text}")
            sys.exit(2)
    print(f"Without a fault: {len(wanted)} ops pass.", flush=True)


def show_table(chosen, verdicts):
    """Found of planted, by kind and backend."""
    print(f"\n{'kind':14}" + "".join(f"{backend:>10}" for backend in lists.BACKENDS))
    for kind in (*lists.KINDS, "all"):
        row = f"{kind:14}"
        for backend in lists.BACKENDS:
            names = [fault.name for fault in chosen
                     if fault.backend == backend and kind in (fault.kind, "all")]
            found = sum(verdicts[name] in ("found", "crashed", "hung") for name in names)
            row += f"{found:>6}/{len(names):<3}"
        print(row.rstrip())
    counts = collections.Counter(verdicts.values())
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))


def main():
    parser = argparse.ArgumentParser(description="Planted faults, which the suite finds.")
    parser.add_argument("--build", type=pathlib.Path, default="build/default", metavar="DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", metavar="REGEX", help="of the name")
    parser.add_argument("--kind", choices=lists.KINDS)
    parser.add_argument("--backend", choices=lists.BACKENDS)
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="a fixed, spread subset")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="of a run")
    parser.add_argument("--list", action="store_true", help="build nothing")
    parser.add_argument("--verbose", action="store_true", help="why each fault is a likely slip")
    args = parser.parse_args()
    chosen = [fault for fault in lists.read_all()
              if re.search(args.only, fault.name) and args.kind in (None, fault.kind)
              and args.backend in (None, fault.backend)]
    if args.sample:
        chosen = lists.sample(chosen, args.sample)
    for fault in chosen:
        fault.mutated()  # ends here when the list and the code have drifted apart
    if args.list:
        for fault in chosen:
            print(f"{fault.name:36} {fault.kind:13} {fault.op:14} {fault.file}\n    {fault.why}")
    if args.list or not chosen:
        print(f"{len(chosen)} faults")
        sys.exit(0 if chosen else 2)

    start = time.perf_counter()
    build = Build(args.build.resolve())
    verdicts, times = {}, []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        check_unmutated(build, chosen, args, pool)
        jobs = {pool.submit(judge, build, fault, args): fault for fault in chosen}
        for job in concurrent.futures.as_completed(jobs):
            fault = jobs[job]
            verdict, text, built, ran = job.result()
            verdicts[fault.name] = verdict
            times.append((built, ran))
            print(f"{verdict:9} {fault.name:36} {fault.kind:13} {built:5.1f} + {ran:4.1f} s  "
                  f"{text}", flush=True)
            if args.verbose or verdict not in ("found", "crashed", "hung"):
                print(f"          {fault.why}", flush=True)
    show_table(chosen, verdicts)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"a fault: {sum(b for b, _ in times) / len(times):.1f} s to build, "
          f"{sum(r for _, r in times) / len(times):.1f} s to run; all: "
          f"{time.perf_counter() - start:.0f} s with {args.jobs} jobs, "
          f"{usage.ru_utime + usage.ru_stime:.0f} s of processor time")
    if any(verdict == "broken" for verdict in verdicts.values()):
        sys.exit(2)
    if any(verdict in ("survived", "unnamed") for verdict in verdicts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
