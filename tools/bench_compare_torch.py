# Times one training step in PyTorch and in `lamina bench`, side by side: both live at once and take
# turns of a few steps (turns.py), so that whatever else the machine does hits both.
#
#   python3 tools/bench_compare_torch.py lenet_bn --batch 64 --threads 2
#   python3 tools/bench_compare_torch.py resnet18:16:160 vgg16:4 --classes 10 --seconds 30
#   python3 tools/bench_compare_torch.py --table a.json b.json    # what --json has kept, for docs/performance.md
#
# A net is NAME, NAME:BATCH or NAME:BATCH:SIZE; --batch and --size count for those that name none.
# One step, on both sides, in fp32 or with --precision bf16 (PyTorch: autocast): gather a batch of uint8 images and labels from a data set of 16
# batches that lies in memory, by an order; to float, normalise; the net's forward pass with dropout
# on (for lenet_bn the enlargement to 32x32 is part of it); its loss; backward; Adam, learning rate
# 1e-4, L2 weight decay 1e-3. PyTorch computes no metrics and reads no loss back.
# PyTorch runs at its best: OpenBLAS on OpenMP where the system has it, a malloc that keeps its
# memory, denormals flushed, gradients set to None, everything warm. Contiguous and channels_last,
# Adam's loop and its foreach form (PyTorch 2: and its fused one), eager and traced (PyTorch 2:
# compiled) are tried in every combination; where a step is longer than LONG, what an op costs
# besides its work does not show, and only the layouts, eager and compiled, are; nothing is traced
# under autocast. The fastest ones after a few rounds go on, and the best of them counts. A turn
# gives the median of its steps; the report has the median of the turns, and of the ratios of
# neighbouring turns, and between what figures the middle half of them lies.
# With --cpu-time --threads 1 both sides count what they spent on a processor, which other work on
# the machine changes little; with more threads it would count their waiting for each other.
# The memory is the most that such a process had resident, of its whole life: the program, its
# libraries, the data set and what the step needs.
# SPDX-License-Identifier: Apache-2.0
import argparse
import glob
import importlib.metadata
import itertools
import json
import os
import pathlib
import statistics
import sys
import types

import torch_python
import turns

DATASET_BATCHES = 16  # as in `lamina bench`
MEAN, STDDEV = 0.1307, 0.3081
FORMATS = ("contiguous", "channels_last")
LONG = 100.0  # ms
TRIES = 3     # rounds of all combinations
NEAR = 1.2    # times the fastest combination: slower ones end there
LEAST = 5     # rounds of the others and lamina


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


def start_torch(args, combination):
    """A combination, warm."""
    job = dict(zip(("format", "adam", "mode"), combination), net=args.net, batch=args.batch,
               size=args.size or None, classes=args.classes or None, threads=args.threads,
               precision=args.precision, cpu_time=args.cpu_time)
    side = turns.Side(", ".join(combination),
                      [sys.executable, __file__, "--worker", json.dumps(job)],
                      torch_environment(args.threads))
    side.warm_up(args.warm_up)
    return side


def start_lamina(args, name="lamina", options=()):
    """`lamina bench` with these options more, warm."""
    command = [args.lamina, "bench", args.net, "--batch", str(args.batch), "--threads",
               str(args.threads), "--device", "cpu", "--size", str(args.size), "--classes",
               str(args.classes), "--precision", args.precision, "--no-graph", "--serve",
               *(["--cpu-time"] if args.cpu_time else []), *options]
    side = turns.Side(name, command)
    side.warm_up(args.warm_up)
    return side


def modes_and_adams(precision):
    """What this PyTorch offers, the usual first."""
    if int(importlib.metadata.version("torch").partition(".")[0]) >= 2:
        return ("eager", "compiled"), ("loop", "foreach", "fused")
    return ("eager", "traced") if precision == "fp32" else ("eager",), ("loop", "foreach")


def find_finalists(args):
    """All combinations that PyTorch can run, for a few rounds; the fastest ones, still there."""
    sides = []
    for mode, adam, layout in itertools.product(*modes_and_adams(args.precision), FORMATS):
        if sides and sides[0].first > LONG and (mode == "traced" or adam != "loop"):
            continue
        try:
            side = start_torch(args, (layout, adam, mode))
            side.first = side.run(1)[0]
            sides.append(side)
        except turns.Failed as error:
            print(f"  {layout}, {adam}, {mode}: {error}")
    if not sides:
        print(f"PyTorch cannot run {args.net} like this.")
        return []
    turns.alternate(sides, 0, TRIES)
    sides.sort(key=lambda side: side.ms)
    for side in sides:
        print(f"  {side.name:30} {side.ms:9.3f} ms a step (least {side.least:.3f})", flush=True)
    near = [side for side in sides if side.ms <= NEAR * sides[0].ms][:args.finalists]
    for side in sides:
        if side not in near:
            side.close()
        side.turns.clear()
    return near


def summary_of(side, name, batch):
    """What the report has of a side, which ends here."""
    low, median, high = statistics.quantiles(side.turns, n=4, method="inclusive")
    return {"name": name, "ms": median, "ms_low": low, "ms_high": high, "ms_min": side.least,
            "turns": len(side.turns), "peak_mb": side.close(),
            "images_per_second": 1e3 * batch / median}


def compare(args):
    """The rounds of one net; its part of the report."""
    size = f" at {args.size}x{args.size}" if args.size else ""
    load = os.getloadavg()[0]
    print(f"\n{args.net}{size}, batch {args.batch}, {args.threads} threads, {args.precision}, "
          f"training step with Adam; load average {load:.1f} on {os.cpu_count()} processors", flush=True)
    finalists = find_finalists(args)
    ours = [] if args.torch_only else [start_lamina(args)]
    turns.alternate([*finalists, *ours], args.seconds, LEAST)
    report = {"net": args.net, "batch": args.batch, "size": args.size, "classes": args.classes,
              "threads": args.threads, "precision": args.precision,
              "clock": "processor" if args.cpu_time else "wall", "load_average": load,
              "results": []}
    if finalists:
        peer = min(finalists, key=lambda side: side.ms)
        if ours:
            report["ratio"] = turns.ratio(peer, ours[0])
        name = f"PyTorch {peer.about['torch']} ({peer.name})"
        report["results"].append(summary_of(peer, name, args.batch))
        for side in finalists:
            if side is not peer:
                side.close()
    report["results"] += [summary_of(side, "lamina", args.batch) for side in ours]
    return report


def show(reports):
    """A row for each side of each net; the ratio is how many times our steps a second."""
    print(f"\n{'net':24} {'batch':>5} {'size':>5}  {'side':42} {'ms a step':>10} {'from':>9} "
          f"{'to':>9} {'images/s':>9} {'peak MB':>8}  ratio (middle half)")
    for report in reports:
        for row in report["results"]:
            text = ""
            if row["name"] == "lamina" and "ratio" in report:
                ratio = report["ratio"]
                text = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
            print(f"{report['net']:24} {report['batch']:5} {report['size'] or '':>5}  "
                  f"{row['name']:42} {row['ms']:10.3f} {row['ms_low']:9.3f} {row['ms_high']:9.3f} "
                  f"{row['images_per_second']:9.1f} {row['peak_mb']:8.0f}  {text}".rstrip())


def show_table(paths):
    """The reports of several runs as one table in Markdown for each precision, the lowest ratio
    first; where a net has several, each row tells in which of them lamina is the fastest."""
    reports = [report for path in paths for report in json.loads(pathlib.Path(path).read_text())]
    ours = {}  # of a net in these sizes: milliseconds by precision
    for report in reports:
        report.setdefault("precision", "fp32")
        ours.setdefault((report["net"], report["batch"], report["size"]), {})[
            report["precision"]] = report["results"][-1]["ms"]
    several = any(len(times) > 1 for times in ours.values())
    for precision in sorted({report["precision"] for report in reports}, reverse=True):
        print(f"| net, {precision} | batch | PyTorch, ms a step | how | Lamina, ms a step "
              "| ratio (middle half) | PyTorch, MB | Lamina, MB |"
              + (" Lamina is fastest in |" if several else ""))
        print("|---|---|---|---|---|---|---|---|" + ("---|" if several else ""))
        chosen = [report for report in reports if report["precision"] == precision]
        for report in sorted(chosen, key=lambda report: report.get("ratio", {}).get("median", 0)):
            size = f" at {report['size']}x{report['size']}" if report["size"] else ""
            mine = report["results"][-1]
            cells = [f"{report['net']}{size}", str(report["batch"])]
            if "ratio" in report:
                peer, ratio = report["results"][0], report["ratio"]
                cells += [f"{peer['ms']:.4g}", peer["name"].partition("(")[2].rstrip(")"),
                          f"{mine['ms']:.4g}", f"{ratio['median']:.2f} ({ratio['low']:.2f} to "
                          f"{ratio['high']:.2f})", f"{peer['peak_mb']:.0f}"]
            else:
                cells += ["cannot run it", "", f"{mine['ms']:.4g}", "", ""]
            cells.append(f"{mine['peak_mb']:.0f}")
            if several:
                times = ours[report["net"], report["batch"], report["size"]]
                cells.append(min(times, key=times.get) if len(times) > 1 else "")
            print("| " + " | ".join(cells) + " |")
        print()


def main():
    parser = argparse.ArgumentParser(description="Time a training step in PyTorch and lamina.")
    parser.add_argument("nets", nargs="*", default=["lenet_bn"], help="NAME[:BATCH[:SIZE]]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=0, help="height and width (0: as defined)")
    parser.add_argument("--classes", type=int, default=0, help="outputs (0: as defined)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0,
                        help=f"of the rounds of a net; {LEAST} rounds at least")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds, for each process")
    parser.add_argument("--finalists", type=int, default=2,
                        help="PyTorch combinations that go on, at most")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
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
    show(reports)


if __name__ == "__main__":
    main()
