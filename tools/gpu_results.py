# Collects what the stages of tools/gpu_validate.sh left into results.json and prints the bars: the
# figures that must hold. Everything in the file was read from a program's output.
#
#   python3 tools/gpu_results.py WORK_FOLDER RESULTS_FOLDER
#
# Exit code 0: every stage ended well and every bar holds. docs/gpu.md explains the file.
# SPDX-License-Identifier: Apache-2.0
import csv
import datetime
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

EAGER_BAR, COMPILED_BAR = 10.0, 3.0
# What the recipes reach on MNIST on the CPU in the mean of three seeds, less what seeds scatter.
LEARNT = {"lenet_bn": 0.976, "lenet5": 0.976, "lenet_fashion": 0.955, "cnn_mnist": 0.935,
          "fc2_mnist": 0.83}


def said(*command):
    """What a command prints, or None where there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def read_json(path, default=None):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return default


def gpu():
    """The card as its driver describes it; None without one."""
    fields = ("name", "driver_version", "memory.total", "compute_cap", "pstate", "clocks.sm",
              "clocks.max.sm", "clocks.mem", "power.limit")
    line = said("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader")
    if not line:
        return None
    return dict(zip(fields, (value.strip() for value in line.splitlines()[0].split(","))))


def first_match(pattern, text):
    found = re.search(pattern, text or "")
    return found.group(1) if found else None


def machine(bench):
    about = next((row for row in bench.get("results", []) if row.get("torch")), {})
    cpu = pathlib.Path("/proc/cpuinfo")
    deps = os.environ.get("VALIDATE_DEPS")
    packed = pathlib.Path(deps, "commit") if deps else None
    commit = said("git", "rev-parse", "HEAD")
    changed = said("git", "status", "--porcelain")
    if not commit and packed and packed.exists():
        commit = packed.read_text().strip()
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit, "changed_files": len(changed.splitlines()) if changed else 0,
            "gpu": gpu(),
            "cpu": first_match(r"model name\s*: (.*)", cpu.read_text() if cpu.exists() else ""),
            "cpus": os.cpu_count(), "system": platform.platform(),
            "toolkit": first_match(r"release ([0-9.]+)", said("nvcc", "--version") or
                                   said("/usr/local/cuda/bin/nvcc", "--version")),
            "compiler": (said("g++", "--version") or "").split("\n")[0],
            "pytorch": {key: about.get(key) for key in ("torch", "cuda", "cudnn", "card")}}


def tests(figures):
    counts = {"ran": 0, "failed": 0, "skipped": 0, "on_cuda": 0}
    failed = []
    for path in sorted(figures.glob("tests-*.json")):
        for suite in read_json(path, {}).get("testsuites", []):
            for case in suite["testsuite"]:
                name = f"{suite['name']}.{case['name']}"
                if case.get("result") == "SKIPPED":
                    counts["skipped"] += 1
                elif case.get("status") == "RUN":
                    counts["ran"] += 1
                    counts["on_cuda"] += "cuda" in name
                if case.get("failures"):
                    failed.append(name)
    return {**counts, "failed": len(failed), "failures": failed}


def sanitizer(figures):
    jobs = []
    for path in sorted(figures.glob("sanitizer-*.log")):
        _, tool, suite = path.stem.split("-", 2)
        ended = path.with_suffix(".exit")
        text = path.read_text(errors="replace")
        jobs.append({"tool": tool, "suite": suite,
                     "exit_code": int(ended.read_text()) if ended.exists() else None,
                     "summary": first_match(r"(?:ERROR|RACECHECK) SUMMARY: (.*)", text)})
    return {"jobs": jobs}


def accuracy(work):
    """Mean and runs of the test accuracy by net and precision."""
    table = {}
    for path in sorted((work / "runs").glob("*/result.json")):
        net, precision, _ = path.parent.name.rsplit("-", 2)
        run = read_json(path)
        entry = table.setdefault(net, {}).setdefault(
            precision, {"data": run["data"].split(" (")[0], "images": run["test_images"], "runs": []})
        entry["runs"].append(run["test_accuracy"])
    for row in table.values():
        for entry in row.values():
            entry["mean"] = statistics.mean(entry["runs"])
    return table


def copies(work, figures):
    """Copies a step: what two runs differ by over what their numbers of steps differ by."""
    runs = [(read_json(work / f"copies-{images}" / "result.json"),
             read_json(figures / f"copies-{images}.json")) for images in (6400, 12800)]
    if not all(result and counted for result, counted in runs):
        return {}
    steps = runs[1][0]["steps"] - runs[0][0]["steps"]
    per_step = {key: (runs[1][1][key] - runs[0][1][key]) / steps
                for key in ("to_device", "to_host")}
    return {"per_step": per_step, "runs": [{"steps": result["steps"], **counted}
                                           for result, counted in runs]}


def clocks(figures):
    """Lowest, median and highest of what the driver showed during the bench."""
    path = figures / "clocks.csv"
    if not path.exists():
        return {}
    rows = [row for row in csv.reader(path.read_text().splitlines()) if len(row) == 4]
    columns = {}
    for name, column in zip(("sm_mhz", "memory_mhz", "watts", "celsius"), zip(*rows)):
        try:
            values = [float(value) for value in column]
        except ValueError:  # a card may not tell all of it
            continue
        columns[name] = {"low": min(values), "median": statistics.median(values),
                         "high": max(values)}
    return columns


def allowed_loss(exact, other):
    """Three standard errors of a difference of means: the seeds' scatter, at least the images'."""
    sampling = exact["mean"] * (1 - exact["mean"]) / exact["images"]
    scatter = [statistics.variance(entry["runs"]) if len(entry["runs"]) > 1 else 0.0
               for entry in (exact, other)]
    return 3 * math.sqrt(sum(max(one, sampling) / len(entry["runs"])
                             for one, entry in zip(scatter, (exact, other))))


def bars_of(stages):
    """Name, what was found, what it must be, and whether it holds; None where nothing was found."""
    bars = []

    def bar(name, value, wanted, holds):
        bars.append({"name": name, "value": value, "wanted": wanted, "holds": holds})

    found = {name: stage["figures"] for name, stage in stages.items()}
    test = found.get("tests", {})
    bar("tests", f"{test.get('failed')} of {test.get('ran')} failed, {test.get('on_cuda')} on cuda",
        "none failed, some on cuda", test.get("failed") == 0 and test.get("on_cuda", 0) > 0)
    jobs = found.get("sanitizer", {}).get("jobs", [])
    clean = sum(job["exit_code"] == 0 for job in jobs)
    bar("sanitizers", f"{clean} of {len(jobs)} runs clean", "all", clean == len(jobs) > 0)
    cases = found.get("compare", {}).get("cases", [])
    within = sum(case["within"] for case in cases)
    bar("outputs and gradients", f"{within} of {len(cases)} cases within the rule", "all",
        within == len(cases) > 0)
    for net, row in found.get("accuracy", {}).items():
        exact = row.get("fp32")
        least = LEARNT.get(net) if exact and exact["data"] == "mnist" else None
        bar(f"accuracy of {net} in fp32", exact and f"{100 * exact['mean']:.2f} %",
            least and f"at least {100 * least:.1f} %", least and exact["mean"] >= least)
        for precision in ("bf16", "fp16"):
            if "fp32" not in row or precision not in row:
                bar(f"accuracy of {net} in {precision}", None, "that of fp32", None)
                continue
            loss = row["fp32"]["mean"] - row[precision]["mean"]
            limit = allowed_loss(row["fp32"], row[precision])
            bar(f"accuracy of {net} in {precision}", f"{0.0 - 100 * loss:+.2f} points of fp32's "
                f"{100 * row['fp32']['mean']:.2f} %", f"at least {-100 * limit:+.2f}",
                loss <= limit)
    if not found.get("accuracy"):
        bar("accuracies", None, "bf16 and fp16 as fp32", None)
    ratios = {entry["mode"]: entry["ratio"] for entry in found.get("bench", {}).get("ratios", [])
              if entry["precision"] == "any"}
    for mode, least in (("eager", EAGER_BAR), ("compiled", COMPILED_BAR)):
        ratio = ratios.get(mode)
        bar(f"steps a second over PyTorch {mode}", ratio and round(ratio, 2), f"at least {least:g}",
            None if ratio is None else ratio >= least)
    per_step = found.get("copies", {}).get("per_step")
    bar("copies between host and device a step", per_step, "none",
        None if per_step is None else not any(per_step.values()))
    return bars


def main():
    work, out = (pathlib.Path(folder) for folder in sys.argv[1:3])
    figures, device = work / "figures", os.environ.get("VALIDATE_DEVICE", "cuda")
    bench = read_json(figures / "bench.json", {})
    about = machine(bench)
    compared = [case for path in sorted(figures.glob("compare-*.json"))
                for case in read_json(path, [])]
    found = {"build": {"devices": read_json(figures / "devices.json", [])}, "tests": tests(figures),
             "bench": {**bench, "clocks": clocks(figures)}, "accuracy": accuracy(work),
             "compare": {"cases": compared}, "copies": copies(work, figures),
             "sanitizer": sanitizer(figures)}
    stages = {}
    for line in (work / "stages.tsv").read_text().splitlines():
        name, status, nanoseconds, limit = line.split("\t")
        log = out / "logs" / f"{name}.log"
        stages[name] = {
            "exit_code": int(status), "seconds": round(int(nanoseconds) / 1e9, 1),
            "limit": int(limit), "log": f"logs/{name}.log",
            "commands": [said_line[2:] for said_line in log.read_text(errors="replace").splitlines()
                         if said_line.startswith("+ ")],
            "figures": found[name]}
    bars = bars_of(stages)
    judged = device == "cuda" and os.environ.get("VALIDATE_QUICK") != "yes"
    if not judged:
        bars = [{**bar, "holds": None, "why": "judged in a full run on a GPU only"} for bar in bars]
    text = json.dumps({**about, "device": device, "stages": stages, "bars": bars}, indent=2)
    # Logs and figures name folders of the machine that mean nothing elsewhere.
    text = text.replace(str(work), "WORK").replace(os.getcwd(), ".")
    (out / "results.json").write_text(text + "\n")
    for bar in bars:
        verdict = {True: "holds", False: "FAILS", None: bar.get("why", "NOT SHOWN")}[bar["holds"]]
        print(f"{bar['name']}: {bar['value']} (wanted: {bar['wanted']}): {verdict}")
    ended = all(stage["exit_code"] == 0 for stage in stages.values())
    held = not judged or all(bar["holds"] for bar in bars)
    sys.exit(0 if ended and held else 1)


if __name__ == "__main__":
    main()
