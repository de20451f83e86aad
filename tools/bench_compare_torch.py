# Times one training step in PyTorch and in `lamina bench`, side by side: rounds of both alternate
# in one run, so that whatever else the machine does hits both.
#
#   python3 tools/bench_compare_torch.py lenet_bn --batch 64 --threads 2
#   python3 tools/bench_compare_torch.py resnet18:16:160 vgg16:4 --classes 10 --rounds 3
#   python3 tools/bench_compare_torch.py --table a.json b.json    # what --json has kept, for docs/performance.md
#
# A net is NAME, NAME:BATCH or NAME:BATCH:SIZE; --batch and --size count for those that name none.
# One step, on both sides, fp32: gather a batch of uint8 images and labels from a data set of 16
# batches that lies in memory, by an order; to float, normalise; the net's forward pass with dropout
# on (for lenet_bn the enlargement to 32x32 is part of it); its loss; backward; Adam, learning rate
# 1e-4, L2 weight decay 1e-3. PyTorch computes no metrics and reads no loss back.
# PyTorch runs at its best: OpenBLAS on OpenMP where the system has it, a malloc that keeps its
# memory, denormals flushed, gradients set to None, everything warm. Contiguous and channels_last,
# Adam's loop and its foreach form, eager and traced are tried in every combination; where a step is
# longer than LONG, what an op costs besides its work does not show, and the layouts alone are. The
# fastest ones enter the rounds, and the best of them counts. Every timing runs in a process of its
# own and gives the median of its steps; the report has the median over the rounds and their range.
# With --cpu-time --threads 1 both sides count what they spent on a processor, which other work on
# the machine changes little; with more threads it would count their waiting for each other.
# The memory is the most that such a process had resident, of its whole life: the program, its
# libraries, the data set and what the step needs.
# SPDX-License-Identifier: Apache-2.0
import argparse
import glob
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import types

import torch_python

DATASET_BATCHES = 16  # as in `lamina bench`
MEAN, STDDEV = 0.1307, 0.3081
FORMATS, ADAMS, MODES = ("contiguous", "channels_last"), ("loop", "foreach"), ("eager", "traced")
LONG = 100.0  # ms
NEAR = 1.2    # times the fastest combination: slower ones stay out of the rounds


def torch_environment(threads):
    """Glibc's malloc otherwise gives large buffers back, and every step faults them in again."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MALLOC_MMAP_MAX_="0",
                       MALLOC_TRIM_THRESHOLD_="100000000000", MALLOC_TOP_PAD_="1000000000")
    openmp_blas = glob.glob("/usr/lib/*/openblas-openmp")
    if openmp_blas:
        # Debian's default OpenBLAS brings its own threads, which fight with PyTorch's.
        path = openmp_blas + [environment.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, path))
    return environment


def random_data(net, batch, size=None, classes=None):
    """The data set: images, labels and the order in which they are gathered."""
    import torch

    import torch_nets

    samples = DATASET_BATCHES * batch
    images = torch.randint(0, 256, (samples, *torch_nets.input_shape(net, size)), dtype=torch.uint8)
    labels = torch.randint(0, classes or torch_nets.default_classes(net), (samples,))
    return images, labels, torch.randperm(samples)


def run_process(command, environment=None):
    """What a process printed, its error text, exit status, and most resident memory in MB."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return output.read(), errors.read().strip(), process.returncode, usage.ru_maxrss / 1024


def time_torch(args, combination, seconds):
    """A run of a combination; {"error": ...} where PyTorch cannot do it."""
    job = dict(zip(("format", "adam", "mode"), combination), net=args.net, batch=args.batch,
               size=args.size or None, classes=args.classes or None, threads=args.threads,
               seconds=seconds, cpu_time=args.cpu_time)
    output, errors, status, peak = run_process(
        [sys.executable, __file__, "--worker", json.dumps(job)], torch_environment(args.threads))
    if status != 0:
        return {"error": errors.splitlines()[-1] if errors else f"ended with {status}"}
    return dict(json.loads(output), peak_mb=peak)


def time_lamina(args, device="cpu", options=()):
    command = [args.lamina, "bench", args.net, "--batch", str(args.batch), "--threads",
               str(args.threads), "--device", device, "--json", *options]
    output, errors, status, peak = run_process(command)
    if status != 0:
        sys.exit(f"{' '.join(command)} exited with {status}: {errors}")
    result = json.loads(output)
    result = result[0] if isinstance(result, list) else result
    return {"ms": result["ms_per_step"], "ms_min": result["ms_min"], "steps": result["steps"],
            "peak_mb": peak}


def lamina_options(args, milliseconds=LONG):
    """As many steps as fit into a timing, one of which takes about so long."""
    steps = max(3, min(200, round(1e3 * args.seconds / milliseconds)))
    return ("--size", str(args.size), "--classes", str(args.classes), "--steps", str(steps),
            "--warmup", str(max(2, min(20, steps))), "--no-graph", "--no-layers",
            *(["--cpu-time"] if args.cpu_time else []))


def find_finalists(args):
    """The combinations once, briefly; the fastest ones."""
    print(f"PyTorch's combinations, {args.seconds / 2:g} s each:")
    timed = []
    for combination in itertools.product(MODES, ADAMS, FORMATS):
        mode, adam, layout = combination
        if timed and (mode, adam) != (MODES[0], ADAMS[0]) and timed[0][0] > LONG:
            break
        combination = (layout, adam, mode)
        run = time_torch(args, combination, args.seconds / 2)
        if "error" in run:
            print(f"  {', '.join(combination):30} {run['error']}")
            continue
        timed.append((run["ms"], combination))
        print(f"  {', '.join(combination):30} {run['ms']:9.3f} ms a step "
              f"(least {run['ms_min']:.3f})", flush=True)
    if not timed:
        sys.exit(f"PyTorch could not run {args.net}.")
    timed.sort()
    near = [combination for ms, combination in timed if ms <= NEAR * timed[0][0]]
    return near[:args.finalists]


def summarise(name, runs, batch):
    medians = [run["ms"] for run in runs]
    summary = {"name": name, "ms": statistics.median(medians), "ms_low": min(medians),
               "ms_high": max(medians), "ms_min": min(run["ms_min"] for run in runs),
               "rounds": medians}
    if all("peak_mb" in run for run in runs):
        summary["peak_mb"] = max(run["peak_mb"] for run in runs)
    summary["images_per_second"] = 1e3 * batch / summary["ms"]
    return summary


def compare(args):
    """The rounds of one net; its part of the report."""
    size = f" at {args.size}x{args.size}" if args.size else ""
    load = os.getloadavg()[0]
    print(f"\n{args.net}{size}, batch {args.batch}, {args.threads} threads, fp32, training step "
          f"with Adam; load average {load:.1f} on {os.cpu_count()} processors")
    finalists = find_finalists(args)
    torch_runs = {combination: [] for combination in finalists}
    lamina_runs = []
    if not args.torch_only:  # how long a step is
        options = lamina_options(args, time_lamina(args, options=lamina_options(args, 1e6))["ms"])
    for number in range(args.rounds):
        for combination in finalists:
            run = time_torch(args, combination, args.seconds)
            if "error" in run:
                sys.exit(f"PyTorch with {', '.join(combination)} failed: {run['error']}")
            torch_runs[combination].append(run)
        if not args.torch_only:
            lamina_runs.append(time_lamina(args, options=options))
        line = [f"{runs[-1]['ms']:.3f}" for runs in [*torch_runs.values(), lamina_runs] if runs]
        print(f"round {number + 1}: {'  '.join(line)} ms", flush=True)

    best, runs = min(torch_runs.items(),
                     key=lambda item: statistics.median(run["ms"] for run in item[1]))
    rows = [summarise(f"PyTorch {runs[0]['torch']} ({', '.join(best)})", runs, args.batch)]
    report = {"net": args.net, "batch": args.batch, "size": args.size, "classes": args.classes,
              "threads": args.threads,
              "clock": "processor" if args.cpu_time else "wall", "load_average": load, "results": rows}
    if lamina_runs:
        rows.append(summarise("lamina", lamina_runs, args.batch))
        ratios = [a / b for a, b in zip(rows[0]["rounds"], rows[1]["rounds"])]
        report["ratio"] = {"median": statistics.median(ratios), "low": min(ratios),
                           "high": max(ratios)}
    return report


def show(reports, rounds):
    """A row for each side of each net; the ratio is how many times our steps a second."""
    print(f"\n{'net':24} {'batch':>5} {'size':>5}  {'side':42} {'ms a step':>10} {'lowest':>9} "
          f"{'highest':>9} {'images/s':>9} {'peak MB':>8}  ratio   ({rounds} rounds)")
    for report in reports:
        for row in report["results"]:
            text = ""
            if row["name"] == "lamina":
                ratio = report["ratio"]
                text = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
            print(f"{report['net']:24} {report['batch']:5} {report['size'] or '':>5}  "
                  f"{row['name']:42} {row['ms']:10.3f} {row['ms_low']:9.3f} {row['ms_high']:9.3f} "
                  f"{row['images_per_second']:9.1f} {row['peak_mb']:8.0f}  {text}".rstrip())


def show_table(paths):
    """The reports of several runs as one table in Markdown, the lowest ratio first."""
    reports = [report for path in paths for report in json.loads(pathlib.Path(path).read_text())]
    print("| net | batch | PyTorch, ms a step | how | Lamina, ms a step | ratio (rounds) "
          "| PyTorch, MB | Lamina, MB |\n|---|---|---|---|---|---|---|---|")
    for report in sorted(reports, key=lambda report: report["ratio"]["median"]):
        peer, ours = report["results"]
        ratio = report["ratio"]
        size = f" at {report['size']}x{report['size']}" if report["size"] else ""
        how = peer["name"].partition("(")[2].rstrip(")")
        print(f"| {report['net']}{size} | {report['batch']} | {peer['ms']:.4g} | {how} "
              f"| {ours['ms']:.4g} | {ratio['median']:.2f} ({ratio['low']:.2f} to "
              f"{ratio['high']:.2f}) | {peer['peak_mb']:.0f} | {ours['peak_mb']:.0f} |")


def main():
    parser = argparse.ArgumentParser(description="Time a training step in PyTorch and lamina.")
    parser.add_argument("nets", nargs="*", default=["lenet_bn"], help="NAME[:BATCH[:SIZE]]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=0, help="height and width (0: as defined)")
    parser.add_argument("--classes", type=int, default=0, help="outputs (0: as defined)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a timing; 3 steps at least")
    parser.add_argument("--finalists", type=int, default=2,
                        help="PyTorch combinations that enter the rounds, at most")
    parser.add_argument("--cpu-time", action="store_true",
                        help="of all threads, not wall time: take --threads 1 where others work")
    parser.add_argument("--torch-only", action="store_true", help="leave lamina out")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--json", metavar="FILE", help="also write everything to FILE")
    parser.add_argument("--table", nargs="+", metavar="FILE",
                        help="time nothing; the table of what --json wrote to these files")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        import torch_cpu_step

        torch_cpu_step.worker(json.loads(args.worker))
        return
    if args.table:
        show_table(args.table)
        return
    torch_python.require()
    if not args.torch_only and not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it, name it with --lamina, "
                     "or give --torch-only")
    if os.getloadavg()[0] > 0.5:
        print("Other work runs on this machine: do not quote these figures.")
    reports = []
    for text in args.nets:
        net, *numbers = text.split(":")
        if len(numbers) > 2 or not all(number.isdigit() for number in numbers):
            parser.error(f"'{text}' is not NAME, NAME:BATCH or NAME:BATCH:SIZE")
        own = dict(zip(("batch", "size"), map(int, numbers)))
        reports.append(compare(types.SimpleNamespace(**{**vars(args), **own, "net": net})))
        if args.json:
            pathlib.Path(args.json).write_text(json.dumps(reports, indent=2) + "\n")
    show(reports, args.rounds)


if __name__ == "__main__":
    main()
