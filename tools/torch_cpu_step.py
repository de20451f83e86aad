# The training step that bench_compare_torch.py times in PyTorch: one combination in its own process.
# SPDX-License-Identifier: Apache-2.0
import json
import sys
import time

import torch

from bench_compare_torch import MEAN, STDDEV, random_data
import torch_nets


def make_step(job):
    """The step of a combination, a function of its number."""
    layout = {"contiguous": torch.contiguous_format,
              "channels_last": torch.channels_last}[job["format"]]
    batch = job["batch"]
    images, labels, order = random_data(job["net"], batch, job["size"], job["classes"])
    net = torch_nets.build(job["net"], size=job["size"], classes=job["classes"])
    net = net.train().to(memory_format=layout)
    loss_function = torch_nets.loss_of(job["net"])
    form = {"foreach": False} if job["adam"] == "loop" else {job["adam"]: True}
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-3, **form)
    forward = net
    if job["mode"] == "traced":
        example = torch.zeros(batch, *images.shape[1:]).contiguous(memory_format=layout)
        forward = torch.jit.trace(net, example, check_trace=False)
    elif job["mode"] == "compiled":
        forward = torch.compile(net)

    def step(number):
        start = number * batch % len(order)
        chosen = order[start:start + batch]
        x = images[chosen].float().mul_(1 / (255 * STDDEV))
        x = x.sub_(MEAN / STDDEV)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "bf16"):
            loss = loss_function(forward(x.contiguous(memory_format=layout)), labels[chosen])
        loss.backward()
        optimizer.step()

    return step


def worker(job):
    """Runs the steps of one combination as standard input asks for them (turns.py)."""
    torch.manual_seed(1)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    step = make_step(job)
    clock = time.process_time if job["cpu_time"] else time.perf_counter
    print(json.dumps({"torch": torch.__version__}), flush=True)
    number = 0
    for line in sys.stdin:
        times = []
        for number in range(number, number + int(line)):
            start = clock()
            step(number)
            times.append(1e3 * (clock() - start))
        number += 1
        print(json.dumps(times), flush=True)
