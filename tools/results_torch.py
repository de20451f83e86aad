# Trains a recipe in PyTorch over several seeds: what the same net, data and hyper-parameters reach
# there, beside docs/results.md. Weights are drawn by PyTorch's own rules and the order of the images
# by its generator; a source reports one run, and this tells how far runs lie apart.
#
# Usage: python3 tools/results_torch.py RECIPE ... [--seeds 1,2,3] [--threads N] [--lamina PROGRAM]
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import subprocess
import sys

import torch_python

torch_python.require()

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import torch_data  # noqa: E402
import torch_nets  # noqa: E402

_ALL = 1 << 30
# (mean, deviation) of each data set, as `--normalize standard` has them.
_STANDARD = {"mnist": ([0.1307], [0.3081]), "fashion-mnist": ([0.2860], [0.3530]),
             "cifar-10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])}
_KNOWN = {"data", "net", "optimizer", "lr", "epochs", "batch_size", "normalize", "clip_norm",
          "momentum", "weight_decay"}


def arguments():
    parser = argparse.ArgumentParser(description="Trains recipes in PyTorch.")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("recipes", nargs="+")
    return parser.parse_args()


def recipe_of(lamina, name):
    done = subprocess.run([lamina, "recipes", "--json"], capture_output=True, text=True, check=True)
    found = [about for about in json.loads(done.stdout) if about["name"] == name]
    if not found:
        sys.exit(f"unknown recipe '{name}'; `lamina recipes` lists them.")
    settings = found[0]["settings"]
    unknown = set(settings) - _KNOWN
    if unknown:
        sys.exit(f"{name}: this script does not do {', '.join(sorted(unknown))}.")
    return settings


def scaling(settings):
    normalize = settings.get("normalize", "none")
    if normalize == "none":
        return [0.0], [1.0]
    if normalize == "standard":
        return _STANDARD[settings["data"]]
    mean, stddev = normalize.split(",")
    return [float(mean)], [float(stddev)]


def optimizer_of(settings, net):
    rate, decay = float(settings["lr"]), float(settings.get("weight_decay", 0))
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(net.parameters(), lr=rate, weight_decay=decay,
                               momentum=float(settings.get("momentum", 0)))
    return torch.optim.Adam(net.parameters(), lr=rate, weight_decay=decay)


class Images:
    """A part of a data set as the net takes it, a batch at a time."""

    def __init__(self, lamina, settings, part):
        self.images, labels = torch_data.read(lamina, settings["data"], _ALL, part)
        self.labels = torch.from_numpy(labels)
        self.scaling = scaling(settings)
        self.shape = torch_nets.input_shape(settings["net"])[1:]

    def batch(self, chosen):
        x = torch_data.prepared(self.images[chosen.numpy()], *self.scaling)
        if x.shape[2:] != torch.Size(self.shape):
            x = F.interpolate(x, size=self.shape, mode="bilinear", align_corners=False)
        return x, self.labels[chosen]

    def batches(self, size, order):
        for begin in range(0, len(order), size):
            yield self.batch(order[begin:begin + size])


def accuracy(net, name, images):
    net.eval()
    correct = 0
    with torch.no_grad():
        for x, labels in images.batches(250, torch.arange(len(images.labels))):
            output = torch_nets.outputs_of(name, net(x))["output"]
            correct += (output.argmax(1) == labels).sum().item()
    return 100 * correct / len(images.labels)


def run(settings, seed, train, test):
    torch.manual_seed(seed)
    name = settings["net"]
    net = torch_nets.build(name, channels=train.images.shape[1])
    optimizer = optimizer_of(settings, net)
    loss_of, clip = torch_nets.loss_of(name), float(settings.get("clip_norm", 0))
    for _ in range(int(settings["epochs"])):
        net.train()
        order = torch.randperm(len(train.labels))
        for x, labels in train.batches(int(settings["batch_size"]), order):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(net(x), labels)
            if not torch.isfinite(loss):
                return None
            loss.backward()
            if clip > 0:
                torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
    return accuracy(net, name, test)


def main():
    flags = arguments()
    torch.set_num_threads(flags.threads)
    torch.set_flush_denormal(True)
    print("| recipe | test accuracy in PyTorch, mean of the seeds (lowest to highest) | runs |")
    print("|---|---|---|", flush=True)
    for name in flags.recipes:
        settings = recipe_of(flags.lamina, name)
        train, test = (Images(flags.lamina, settings, part) for part in ("train", "test"))
        reached = []
        seeds = flags.seeds.split(",")
        for seed in seeds:
            reached.append(run(settings, int(seed), train, test))
            print(f"{name} seed {seed}: {reached[-1]}", file=sys.stderr, flush=True)
        ended = [value for value in reached if value is not None]
        cell = "all diverged"
        if ended:
            cell = f"{sum(ended) / len(ended):.2f} % ({min(ended):.2f} to {max(ended):.2f})"
        print(f"| `{name}` | {cell} | {len(ended)} of {len(seeds)} |", flush=True)


if __name__ == "__main__":
    main()
