# The training step that bench_compare_torch_gpu.py times in PyTorch: one combination in its own process.
# SPDX-License-Identifier: Apache-2.0
import json
import statistics
import sys
import time

import torch

from bench_compare_torch import MEAN, STDDEV, random_data
import torch_nets

CAPTURED = 8  # steps in one graph, as many as lamina records


class Step:
    """The training step of one combination."""

    def __init__(self, job):
        self.job, self.cuda = job, job["device"] == "cuda"
        self.captured = job["mode"] == "captured"
        tf32 = job["precision"] == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        layout = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        layout = layout[job["format"]]
        device = torch.device(job["device"])
        self.images, self.labels, self.order = (
            data.to(device) for data in random_data(job["net"], job["batch"]))
        self.layout, self.cursor = layout, 0
        self.place = torch.arange(job["batch"], device=device)  # for the captured step
        net = torch_nets.build(job["net"]).train().to(device, memory_format=layout)
        loss_of = torch_nets.loss_of(job["net"])
        options = {"fused": True, "capturable": self.captured} if self.cuda else {}
        self.optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-3, **options)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(job["precision"])
        self.scaler = torch.cuda.amp.GradScaler() if job["precision"] == "fp16" else None

        def forward(x, y):
            with torch.autocast(job["device"], dtype=half, enabled=half is not None):
                output = net(x)
            return loss_of(output.float(), y)

        self.forward = forward
        if job["mode"] != "eager":
            if not hasattr(torch, "compile"):
                raise RuntimeError(f"PyTorch {torch.__version__} has no torch.compile")
            self.forward = torch.compile(forward, mode=job["compile"])

    def choose(self):
        batch, samples = self.job["batch"], len(self.order)
        if self.captured:
            chosen = self.order[self.place]
            self.place.add_(batch).remainder_(samples)
            return chosen
        start = self.cursor
        self.cursor = (start + batch) % samples
        return self.order[start:start + batch]

    def one(self):
        chosen = self.choose()
        x = self.images[chosen].float().mul_(1 / (255 * STDDEV))
        x = x.sub_(MEAN / STDDEV).contiguous(memory_format=self.layout)
        self.optimizer.zero_grad(set_to_none=True)
        if self.job["mode"] == "compiled" and hasattr(torch.compiler, "cudagraph_mark_step_begin"):
            torch.compiler.cudagraph_mark_step_begin()
        loss = self.forward(x, self.labels[chosen])
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            loss.backward()
            self.optimizer.step()

    def synchronize(self):
        if self.cuda:
            torch.cuda.synchronize()

    def prepare(self):
        """Compiles and warms up; returns what runs a block and how many steps that is."""
        if not self.captured:
            for _ in range(self.job["warm_up"]):
                self.one()
            self.synchronize()
            return (lambda: [self.one() for _ in range(self.job["block"])]), self.job["block"]
        cuda = torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(self.job["warm_up"]):
                self.one()
        cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad(set_to_none=True)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            for _ in range(CAPTURED):
                self.one()
        replays = max(1, self.job["block"] // CAPTURED)
        return (lambda: [graph.replay() for _ in range(replays)]), replays * CAPTURED

    def time(self, run, steps, seconds):
        times, begin = [], time.perf_counter()
        run()
        while not times or time.perf_counter() - begin < seconds:
            self.synchronize()
            start = time.perf_counter()
            run()
            self.synchronize()
            times.append(1e3 * (time.perf_counter() - start) / steps)
        return {"ms": statistics.median(times), "ms_min": min(times), "steps": len(times) * steps}


def worker(job):
    """Prepares one combination, says so, then times it whenever a line arrives."""
    begin = time.perf_counter()
    step = Step(job)
    run, steps = step.prepare()
    print(json.dumps({"prepared_in": time.perf_counter() - begin, "torch": torch.__version__,
                      "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
                      "card": torch.cuda.get_device_name() if step.cuda else "cpu"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(step.time(run, steps, float(line))), flush=True)
