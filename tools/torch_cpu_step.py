# The training step that bench_compare_torch.py times in PyTorch: one combination in its own process.
# SPDX-License-Identifier: Apache-2.0
import json
import statistics
import time

import torch

from bench_compare_torch import MEAN, STDDEV, random_data
import torch_nets

WARM_UP = 30  # steps, or as many as fit into the seconds of a timing; two at least
LEAST = 3     # timed steps, however long one takes


def make_step(job):
    """The step of a combination, a function of its number."""
    layout = {"contiguous": torch.contiguous_format,
              "channels_last": torch.channels_last}[job["format"]]
    batch = job["batch"]
    images, labels, order = random_data(job["net"], batch, job["size"], job["classes"])
    net = torch_nets.build(job["net"], size=job["size"], classes=job["classes"])
    net = net.train().to(memory_format=layout)
    loss_function = torch_nets.loss_of(job["net"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-3,
                                 foreach=job["adam"] == "foreach")
    forward = net
    if job["mode"] == "traced":
        example = torch.zeros(batch, *images.shape[1:]).contiguous(memory_format=layout)
        forward = torch.jit.trace(net, example, check_trace=False)

    def step(number):
        start = number * batch % len(order)
        chosen = order[start:start + batch]
        x = images[chosen].float().mul_(1 / (255 * STDDEV))
        x = x.sub_(MEAN / STDDEV)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(forward(x.contiguous(memory_format=layout)), labels[chosen])
        loss.backward()
        optimizer.step()

    return step


def worker(job):
    """Times the steps of one combination and prints them as JSON."""
    torch.manual_seed(1)
    torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    step = make_step(job)
    begin = time.perf_counter()
    for number in range(WARM_UP):
        step(number)
        if number > 0 and time.perf_counter() - begin > job["seconds"]:
            break
    clock = time.process_time if job["cpu_time"] else time.perf_counter
    times, begin = [], time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - begin < job["seconds"]:
        start = clock()
        step(len(times))
        times.append(1e3 * (clock() - start))
    print(json.dumps({"ms": statistics.median(times), "ms_min": min(times), "steps": len(times),
                      "torch": torch.__version__}))
