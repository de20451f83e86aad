# One step of Adam by `lamina train`, held against torch.optim.Adam in float64.
#
# The weights start at a draw of ours, the data set is one batch of random images, and a run of one
# epoch is one step. Data sets of any size have one channel, so the nets get as many. The order of
# the images and the masks of the dropouts are the engine's own, drawn again here (tools/philox.py).
# Adam's first step moves a parameter w by
#   lr * f(g),  f(g) = g / (|g| + eps),  g = the gradient + weight decay * w:
# by lr, to the side that the sign of g says. So where g is as small as its own rounding errors, two
# correct programs may be 2 lr apart, and no bound on w itself can judge every parameter. The rule
# turns the question around: which gradient would have made the step that was made? f grows with g,
# so the steps within
#   2^-24 * (|w| + 16 lr)
# of the one made, a rounding of w and of each factor of the step, belong to an interval of g. What
# lies between the true g and that interval is the least error of the gradient that explains w, and
# none does where w moved by more than lr. The norm of these errors over a tensor must not exceed
# what the gradient may be off by, its budget by tools/torch_oracle.py, and the roundings of g:
#   budget + 2^-24 * (||g|| + 2 weight decay ||w||)
# So every parameter is judged, none by a threshold.
# SPDX-License-Identifier: Apache-2.0
import functools
import math
import pathlib
import struct
import subprocess
import tempfile
import time

import numpy
import torch

import philox
import safetensors_io
import torch_draw
import torch_nets
import torch_oracle
import torch_suite

# Nets of one channel with every kind of layer, as they are defined.
NETS = ("lenet_bn", "lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist", "googlenet_mini",
        "resnet_mini", "vgg11_fashion_small_96", "googlenet_fashion_bn", "mobilenet_mnist")
# The streams of a net's dropouts: their numbers among the engine's layers, in the order of adding
# (Node::number). A net that has none here is trained without dropout.
STREAMS = {
    "lenet_bn": (12, 15), "alexnet_mnist": (17, 20), "vgg11_mnist": (25, 28),
    "vgg19_mnist": (41, 44), "googlenet_mnist": (139,), "alexnet_224": (16, 19),
    "alexnet_fashion": (16, 19), "alexnet_fashion_small": (14,),
    **{f"vgg11_fashion{kind}": (24, 27) for kind in ("", "_half", "_small", "_small_96")},
    "nin_fashion": (21,), "alexnet": (15, 18), "zfnet": (14, 17),
    "vgg11": (25, 28), "vgg11_bn": (33, 36), "vgg13": (29, 32), "vgg13_bn": (39, 42),
    "vgg16": (35, 38), "vgg16_bn": (48, 51), "vgg19": (41, 44), "vgg19_bn": (57, 60),
    "googlenet": (200, 209, 213), "inception_v3": (317,), "squeezenet1_0": (61,),
    "squeezenet1_1": (61,), "mobilenet_v2": (151,),
}
# Where the first dropout takes the flattened maps of the last convolution.
FLATTENED = ("alexnet", "zfnet")
LEARNING_RATE, WEIGHT_DECAY, EPSILON = 1e-4, 1e-3, 1e-8  # as in the recipes
SEED = 1  # of the run


def write_data_set(folder, images, labels):
    """Images and labels as IDX files, for training and for the test, in the order that makes the
    run shuffle them into the one given."""
    order = numpy.argsort(philox.first_epoch(SEED, len(labels)))
    images, labels = images[order], labels[order]
    for part in ("train", "t10k"):
        for path, magic, values in ((folder / f"{part}-images-idx3-ubyte", 0x803, images),
                                    (folder / f"{part}-labels-idx1-ubyte", 0x801, labels)):
            header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
            path.write_bytes(header + values.astype(numpy.uint8).tobytes())


def plan_of(name, small):
    """How a net is run: as it is defined, or as in the suite."""
    defined = torch_suite.Plan(name, 7 if name in torch_suite.SMALL else 3)
    return torch_suite.plan(name) if small else defined


def draw(plan, seed):
    """A case with images that an IDX file can hold."""
    shape = (plan.batch, 1, *torch_nets.input_shape(plan.name, plan.size)[1:])
    images = numpy.random.default_rng(seed).integers(0, 256, shape) / 255.0
    drawn = torch_draw.draw(plan.name, plan.batch, seed, plan.size, plan.classes, plan.width,
                            images)
    return torch_oracle.clear(torch_oracle.Case(
        plan.name, *drawn, True, plan.size, plan.classes, plan.width, dropouts(plan)), seed)


def train_once(args, case):
    """The state_dict after `lamina train` has made one step."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_data_set(folder, numpy.rint(case.images[:, 0] * 255.0), case.labels)
        weights, out = folder / "start.safetensors", folder / "run"
        safetensors_io.write(weights, case.state)
        command = [args.lamina, "train", "--net", case.name, "--data", str(folder), "--weights",
                   str(weights), "--epochs", "1", "--batch-size", str(len(case.images)),
                   "--opt", "adam", "--seed", str(SEED), "--lr", str(LEARNING_RATE),
                   "--wd", str(WEIGHT_DECAY), "--normalize", "none", "--val-split", "0",
                   "--device", args.device, "--out", str(out)]
        for key in ("size", "classes", "width"):
            if getattr(case, key) is not None:
                command += [f"--{key}", str(getattr(case, key))]
        if not case.dropouts and layers_of(case, torch.nn.Dropout):
            command += ["--net-options", "dropout=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None, (f"{' '.join(command)}\nexited with {done.returncode}: "
                          f"{done.stderr.strip()}")
        return safetensors_io.read(out / "weights.safetensors")[0], ""


def step_of_torch(case, gradients):
    """The parameters after torch.optim.Adam's first step, in float64."""
    net = torch_oracle.Evaluator(case).load(torch.float64)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY,
                                 eps=EPSILON)
    for key, parameter in net.named_parameters():
        parameter.grad = torch.from_numpy(gradients[f"grad.{key}"])
    optimizer.step()
    return {key: parameter.detach().numpy() for key, parameter in net.named_parameters()}


def layers_of(plan, kind):
    """The net's layers of one kind, in their order; plan may be a case too."""
    net = torch_draw.blank(plan.name, plan.size, plan.classes, plan.width, dropout=None)
    return [layer for layer in net.modules() if isinstance(layer, kind)]


def dropouts(plan):
    """For each dropout of the net, what makes of a shape the factors of the first step."""
    layers = layers_of(plan, torch.nn.Dropout)
    maps = [None] * len(layers)
    if plan.name in FLATTENED:
        maps[0] = layers_of(plan, torch.nn.Conv2d)[-1].out_channels
    return tuple(functools.partial(mask, stream, layer.p, channels)
                 for stream, layer, channels in zip(STREAMS.get(plan.name, ()), layers, maps))


def mask(stream, p, channels, shape):
    """What a dropout multiplies by. channels: of the maps that were flattened, or None."""
    channels = channels or shape[1]
    # The engine keeps the channels of a place together, behind a flatten too.
    draws = philox.uniform(SEED, stream, math.prod(shape)).reshape(shape[0], -1, channels)
    return (draws.swapaxes(1, 2).reshape(shape) >= p) / (1.0 - p)


def least_error(before, ours, g):
    """For each parameter, how far from g the nearest gradient lies that explains the step from
    `before` to `ours`; infinite where none does."""
    step = (before - ours) / LEARNING_RATE
    slack = 2.0**-24 * (numpy.abs(before) / LEARNING_RATE + 16)

    def gradient_of(value):
        room = 1.0 - numpy.abs(value)
        with numpy.errstate(divide="ignore"):
            return numpy.where(room > 0.0, EPSILON * value / numpy.maximum(room, 0.0),
                               numpy.copysign(numpy.inf, value))

    return numpy.maximum(gradient_of(step - slack) - g, g - gradient_of(step + slack)).clip(0.0)


def compare(args, plan, seed):
    """Compares one step of a net and prints its line; True where all is within the rule."""
    begin, name = time.perf_counter(), plan.name
    truth = torch_oracle.clearest(lambda seed: draw(plan, seed), seed, args.suite)
    case = truth.case
    ours, failure = train_once(args, case)
    if ours is None:
        print(f"{name}, one step of Adam: FAILED\n{failure}", flush=True)
        return False
    worst, where, explained, count = 0.0, "none", 0, 0
    for key, expected in step_of_torch(case, truth.results).items():
        before = case.state[key].astype(numpy.float64)
        g = truth.results[f"grad.{key}"] + WEIGHT_DECAY * before
        allowed = truth.budget(f"grad.{key}") + 2.0**-24 * (
            torch_oracle.norm(g) + 2 * WEIGHT_DECAY * torch_oracle.norm(before))
        # PyTorch's own step needs no explanation, or f is not its formula.
        assert not least_error(before, expected, g).any(), f"{name}, {key}: PyTorch steps otherwise"
        errors = least_error(before, ours[key].astype(numpy.float64), g)
        share = torch_oracle.norm(errors) / allowed
        if not share <= worst:
            worst, where = math.inf if math.isnan(share) else share, key
        explained, count = explained + int((errors > 0.0).sum()), count + g.size
    print(f"{name}, one step of Adam: {count} parameters, "
          f"{'all within the rule' if worst <= 1.0 else 'NOT within the rule'}; {explained} by an "
          f"error of the gradient; nearest the edge: {where}, {worst:.0%} of its budget"
          + (f"; {truth.open_decisions} open decisions" if truth.open_decisions else "")
          + (f"; {time.perf_counter() - begin:.1f} s" if args.times else ""), flush=True)
    return worst <= 1.0
