# Times one training step on a GPU in PyTorch and in `lamina bench`, taking turns in one run.
#
#   python3 tools/bench_compare_torch_gpu.py lenet_bn --batch 64 --json bench.json
#
# The step is that of bench_compare_torch.py; the data set lies in the GPU's memory on both sides. PyTorch:
#   eager     its own kernels, one launch each, the fused Adam
#   compiled  torch.compile over forward and loss, with the CUDA graphs of mode reduce-overhead or
#             max-autotune; the fused Adam
#   captured  compiled kernels, and eight whole steps (gather to Adam) captured by hand as one CUDA
#             graph: the most that PyTorch offers, which takes more than a flag
# each in float32, TF32 and under autocast, as COMBINATIONS lists. Every combination lives in a
# process of its own, which prepares itself (all of them at once), then waits; in the rounds one
# process works at a time. A figure is the wall time of a block of steps with the GPU idle before
# and after, over the steps: the median of the blocks, then the median of the rounds.
# With --device cpu the script only shows that it works.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import threading
import time

import torch_python

# Mode, precision, memory format, and the mode of torch.compile where one is used.
COMBINATIONS = {
    "cuda": (("eager", "fp32", "contiguous", ""),
             ("eager", "tf32", "contiguous", ""),
             ("eager", "bf16", "channels_last", ""),
             ("eager", "fp16", "channels_last", ""),
             ("compiled", "fp32", "contiguous", "reduce-overhead"),
             ("compiled", "tf32", "contiguous", "reduce-overhead"),
             ("compiled", "bf16", "channels_last", "reduce-overhead"),
             ("compiled", "bf16", "channels_last", "max-autotune"),
             ("captured", "tf32", "contiguous", "default"),
             ("captured", "bf16", "channels_last", "default")),
    "cpu": (("eager", "fp32", "contiguous", ""), ("compiled", "fp32", "contiguous", "default")),
}
PRECISIONS = {"cuda": ("fp32", "tf32", "bf16", "fp16"), "cpu": ("fp32",)}
BLOCK = 48  # steps between two looks at the clock


class Worker:
    """A combination's process, and the lines it says."""

    def __init__(self, args, combination):
        self.combination, self.runs, self.error, self.about = combination, [], "", {}
        self.name = ", ".join(filter(None, combination))
        job = dict(zip(("mode", "precision", "format", "compile"), combination), net=args.net,
                   batch=args.batch, device=args.device, warm_up=args.warm_up, block=args.block)
        # As many compiler threads as the processes leave each other.
        environment = dict(os.environ, TORCHINDUCTOR_COMPILE_THREADS="4")
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", json.dumps(job)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)
        self.lines, self.said = queue.Queue(), []
        threading.Thread(target=self._listen, daemon=True).start()
        self.stderr = threading.Thread(target=self._note, daemon=True)
        self.stderr.start()

    def _listen(self):
        for line in self.process.stdout:
            if line.startswith("{"):  # compilers print too
                self.lines.put(line)
        self.lines.put(None)

    def _note(self):
        self.said.extend(self.process.stderr)

    def answer(self, seconds):
        """The next line as JSON; None, with the reason in `error`, when there is none in time."""
        try:
            line = self.lines.get(timeout=max(seconds, 0.1))
        except queue.Empty:
            self.error = f"no answer in {seconds:.0f} s"
            self.process.kill()
            return None
        if line is None:
            self.stderr.join(timeout=5)
            said = [text.strip() for text in self.said if text.strip()]
            self.error = said[-1] if said else f"ended with {self.process.wait()}"
            return None
        return json.loads(line)

    def time(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        run = self.answer(60 + 10 * seconds)
        if run:
            self.runs.append(run)


def time_lamina(args, precision):
    """A run of `lamina bench`."""
    command = [args.lamina, "bench", args.net, "--batch", str(args.batch), "--threads",
               str(args.threads), "--device", args.device, "--steps", str(args.lamina_steps),
               "--precision", precision, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return {"ms": result["ms_per_step"], "ms_min": result["ms_min"], "steps": result["steps"]}


def summarise(name, runs, batch):
    medians = [run["ms"] for run in runs]
    ms = statistics.median(medians)
    return {"name": name, "ms": ms, "ms_low": min(medians), "ms_high": max(medians),
            "ms_min": min(run["ms_min"] for run in runs), "rounds": medians,
            "images_per_second": 1e3 * batch / ms}


def alternate(args, workers, deadline):
    """The rounds; returns lamina's runs, or what it said instead, by precision."""
    lamina = {precision: [] for precision in PRECISIONS[args.device]} if not args.torch_only else {}
    for number in range(args.rounds):
        begin = time.monotonic()
        for each in workers:
            if not each.error:
                each.time(args.seconds)
        for precision, runs in list(lamina.items()):
            try:
                if not isinstance(runs, str):
                    runs.append(time_lamina(args, precision))
            except subprocess.CalledProcessError as error:
                lamina[precision] = error.stderr.strip() or str(error)
        took = time.monotonic() - begin
        print(f"round {number + 1}: {took:.1f} s", flush=True)
        if number > 0 and time.monotonic() + took > deadline:
            print("no time for another round")
            break
    return lamina


def rows_of(args, workers, lamina):
    rows = []
    for each in workers:
        mode, precision, layout, compile_mode = each.combination
        row = {"side": "torch", "mode": mode, "precision": precision, "format": layout,
               "compile": compile_mode, **each.about}
        if each.runs and not each.error:
            row.update(summarise(f"PyTorch {each.name}", each.runs, args.batch))
        else:
            row.update(name=f"PyTorch {each.name}", error=each.error)
        rows.append(row)
    for precision, runs in lamina.items():
        name = f"lamina {precision}"
        rows.append({"side": "lamina", "precision": precision,
                     **({"name": name, "error": runs} if isinstance(runs, str) else
                        summarise(name, runs, args.batch))})
    return rows


def ratios_of(rows):
    """Lamina's fastest against PyTorch's fastest of each mode, whatever the precision of either,
    and within a precision; round by round."""
    timed = [row for row in rows if "ms" in row]
    ratios = []
    for precision in ("any", "fp32", "tf32", "bf16", "fp16"):
        chosen = [row for row in timed if precision in ("any", row["precision"])]
        ours = min((row for row in chosen if row["side"] == "lamina"), key=lambda r: r["ms"],
                   default=None)
        for mode in ("eager", "compiled", "captured"):
            theirs = min((row for row in chosen if row.get("mode") == mode), key=lambda r: r["ms"],
                         default=None)
            if ours and theirs:
                rounds = [a / b for a, b in zip(theirs["rounds"], ours["rounds"])]
                ratios.append({"precision": precision, "mode": mode, "torch": theirs["name"],
                               "lamina": ours["name"], "ratio": statistics.median(rounds),
                               "low": min(rounds), "high": max(rounds)})
    return ratios


def show(rows, ratios):
    width = max(len(row["name"]) for row in rows)
    print(f"\n{'':{width}}   ms a step   lowest  highest   images/s")
    for row in rows:
        print(f"{row['name']:{width}}   " + (row["error"] if "ms" not in row else
              f"{row['ms']:9.4f}  {row['ms_low']:7.4f}  {row['ms_high']:7.4f}  "
              f"{row['images_per_second']:9.0f}"))
    for entry in ratios:
        print(f"{entry['precision']:>5}: {entry['lamina']} takes {entry['ratio']:.2f} times the "
              f"steps of {entry['torch']} ({entry['low']:.2f} to {entry['high']:.2f})")


def main():
    parser = argparse.ArgumentParser(description="Time a training step on a GPU, both sides.")
    parser.add_argument("net", nargs="?", default="lenet_bn")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a combination in a round")
    parser.add_argument("--prepare-seconds", type=float, default=70, help="to compile and warm up")
    parser.add_argument("--limit", type=float, default=0, help="seconds in all: fewer rounds then")
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="of lamina")
    parser.add_argument("--lamina-steps", type=int, default=500)
    parser.add_argument("--torch-only", action="store_true", help="leave lamina out")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--json", metavar="FILE", help="also write everything to FILE")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        import torch_gpu_step

        torch_gpu_step.worker(json.loads(args.worker))
        return
    torch_python.require()
    if not args.torch_only and not pathlib.Path(args.lamina).exists():
        parser.error(f"{args.lamina} does not exist; build it, name it with --lamina, "
                     "or give --torch-only")
    begin = time.monotonic()
    deadline = begin + args.limit if args.limit else float("inf")
    workers = [Worker(args, combination) for combination in COMBINATIONS[args.device]]
    try:
        for each in workers:
            each.about = each.answer(begin + args.prepare_seconds - time.monotonic()) or {}
            print(f"{each.name}: {each.error or 'ready'}", flush=True)
        lamina = alternate(args, workers, deadline)
    finally:
        for each in workers:
            each.process.kill()
    rows = rows_of(args, workers, lamina)
    ratios = ratios_of(rows)
    show(rows, ratios)
    if args.json:
        report = {"net": args.net, "batch": args.batch, "device": args.device, "results": rows,
                  "ratios": ratios}
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    timed = {row["side"] for row in rows if "ms" in row}
    sys.exit(0 if timed == ({"torch"} if args.torch_only else {"torch", "lamina"}) else 1)


if __name__ == "__main__":
    main()
