# Times one training step in PyTorch and in `lamina bench`, side by side: rounds of both alternate
# in one run, so that whatever else the machine does hits both.
#
#   python3 tools/bench_torch.py lenet_bn --batch 64 --threads 2
#
# One step, on both sides, fp32: gather a batch of uint8 images and labels from a data set of 16
# batches that lies in memory, by an order; to float, normalise; the net's forward pass with dropout
# on (for lenet_bn the enlargement to 32x32 is part of it); its loss; backward; Adam, learning rate
# 1e-4, L2 weight decay 1e-3. PyTorch computes no metrics and reads no loss back.
# PyTorch runs at its best: OpenBLAS on OpenMP where the system has it, a malloc that keeps its
# memory, denormals flushed, gradients set to None, everything warm. Contiguous and channels_last,
# Adam's loop and its foreach form, eager and traced are tried in every combination; the fastest
# ones enter the rounds, and the best of them counts. Every timing runs in a process of its own and
# gives the median of its steps; the report has the median over the rounds and their range.
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
import time

import torch_python

DATASET_BATCHES = 16  # as in `lamina bench`
MEAN, STDDEV = 0.1307, 0.3081
FORMATS, ADAMS, MODES = ("contiguous", "channels_last"), ("loop", "foreach"), ("eager", "traced")


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


def random_data(net, batch):
    """The data set: images, labels and the order in which they are gathered."""
    import torch

    import torch_nets

    samples = DATASET_BATCHES * batch
    images = torch.randint(0, 256, (samples, *torch_nets.input_shape(net)), dtype=torch.uint8)
    return images, torch.randint(0, 10, (samples,)), torch.randperm(samples)


def torch_worker(job):
    """Times the steps of one combination and prints them as JSON."""
    import torch

    import torch_nets

    torch.manual_seed(1)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    layout = getattr(torch, {"contiguous": "contiguous_format"}.get(job["format"], job["format"]))
    batch, shape = job["batch"], torch_nets.input_shape(job["net"])
    images, labels, order = random_data(job["net"], batch)
    samples = len(order)
    net = torch_nets.build(job["net"]).train().to(memory_format=layout)
    loss_function = torch_nets.loss_of(job["net"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-3,
                                 foreach=job["adam"] == "foreach")
    forward = net
    if job["mode"] == "traced":
        example = torch.zeros(batch, *shape).contiguous(memory_format=layout)
        forward = torch.jit.trace(net, example, check_trace=False)

    def step(number):
        start = number * batch % samples
        chosen = order[start:start + batch]
        x = images[chosen].float().mul_(1 / (255 * STDDEV)).sub_(MEAN / STDDEV)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(forward(x.contiguous(memory_format=layout)), labels[chosen])
        loss.backward()
        optimizer.step()

    for number in range(job["warm_up"]):
        step(number)
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < job["seconds"]:
        start = time.perf_counter()
        step(len(times))
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"ms": statistics.median(times), "ms_min": min(times), "steps": len(times),
                      "torch": torch.__version__}))


def time_torch(args, combination, seconds):
    job = dict(zip(("format", "adam", "mode"), combination), net=args.net, batch=args.batch,
               threads=args.threads, seconds=seconds, warm_up=30)
    done = subprocess.run([sys.executable, __file__, "--worker", json.dumps(job)],
                          env=torch_environment(args.threads), capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"PyTorch with {', '.join(combination)} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def time_lamina(args, device="cpu", options=()):
    command = [args.lamina, "bench", args.net, "--batch", str(args.batch), "--threads",
               str(args.threads), "--device", device, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    result = result[0] if isinstance(result, list) else result
    return {"ms": result["ms_per_step"], "ms_min": result["ms_min"], "steps": result["steps"]}


def find_finalists(args):
    """Every combination once, briefly; the fastest ones."""
    print(f"PyTorch's combinations, {args.seconds / 2:g} s each:")
    timed = []
    for combination in itertools.product(FORMATS, ADAMS, MODES):
        run = time_torch(args, combination, args.seconds / 2)
        timed.append((run["ms"], combination))
        print(f"  {', '.join(combination):30} {run['ms']:9.3f} ms a step "
              f"(least {run['ms_min']:.3f})")
    return [combination for _, combination in sorted(timed)[:args.finalists]], run["torch"]


def summarise(name, runs, batch):
    medians = [run["ms"] for run in runs]
    summary = {"name": name, "ms": statistics.median(medians), "ms_low": min(medians),
               "ms_high": max(medians), "ms_min": min(run["ms_min"] for run in runs),
               "rounds": medians}
    summary["images_per_second"] = 1e3 * batch / summary["ms"]
    return summary


def main():
    parser = argparse.ArgumentParser(description="Time a training step in PyTorch and lamina.")
    parser.add_argument("net", nargs="?", default="lenet_bn")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of PyTorch in each round")
    parser.add_argument("--finalists", type=int, default=2,
                        help="PyTorch combinations that enter the rounds")
    parser.add_argument("--torch-only", action="store_true", help="leave lamina out")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--json", metavar="FILE", help="also write everything to FILE")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        torch_worker(json.loads(args.worker))
        return
    torch_python.require()
    if not args.torch_only and not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it, name it with --lamina, "
                     "or give --torch-only")

    load = os.getloadavg()[0]
    print(f"{args.net}, batch {args.batch}, {args.threads} threads, fp32, training step with Adam; "
          f"load average {load:.1f} on {os.cpu_count()} processors")
    if load > 0.5:
        print("Other work runs on this machine: do not quote these figures.")
    finalists, version = find_finalists(args)
    torch_runs = {combination: [] for combination in finalists}
    lamina_runs = []
    for number in range(args.rounds):
        for combination in finalists:
            torch_runs[combination].append(time_torch(args, combination, args.seconds))
        if not args.torch_only:
            lamina_runs.append(time_lamina(args))
        line = [f"{runs[-1]['ms']:.3f}" for runs in [*torch_runs.values(), lamina_runs] if runs]
        print(f"round {number + 1}: {'  '.join(line)} ms")

    best, runs = min(torch_runs.items(),
                     key=lambda item: statistics.median(run["ms"] for run in item[1]))
    rows = [summarise(f"PyTorch {version} ({', '.join(best)})", runs, args.batch)]
    if lamina_runs:
        rows.append(summarise("lamina", lamina_runs, args.batch))
    width = max(len(row["name"]) for row in rows)
    print(f"\n{'':{width}}   ms a step   lowest  highest   images/s   ({args.rounds} rounds)")
    for row in rows:
        print(f"{row['name']:{width}}   {row['ms']:9.3f}  {row['ms_low']:7.3f}  "
              f"{row['ms_high']:7.3f}  {row['images_per_second']:9.0f}")
    report = {"net": args.net, "batch": args.batch, "threads": args.threads, "load_average": load,
              "results": rows}
    if lamina_runs:
        ratios = [a / b for a, b in zip(rows[0]["rounds"], rows[1]["rounds"])]
        report["ratio"] = {"median": statistics.median(ratios), "low": min(ratios),
                           "high": max(ratios)}
        print(f"\nlamina takes {report['ratio']['median']:.2f} times as many steps a second "
              f"(rounds: {min(ratios):.2f} to {max(ratios):.2f})")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
