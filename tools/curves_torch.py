# Trains nets for a few hundred steps in Lamina and in PyTorch from the same weights over the same
# batches, and holds the two loss curves together.
#
# Two correct programs drift apart: roundings differ, and training amplifies them. How far a correct
# program may be is measured: PyTorch runs AGAIN times more, from weights moved a little (and with
# other dropout masks, which the two programs do not share). Moved by how much: by the rule of
# tools/torch_oracle.py a program may be five roundings off where PyTorch is one, in every step, and
# roundings that have nothing to do with one another add up like the root of their number, so each
# weight is moved by about 5 * sqrt(steps) roundings. A distance is the root of the mean square of
# what two curves differ by, over means of WINDOW steps. Lamina's to PyTorch's first run is one draw
# more of what PyTorch's own are draws of; the rule says how much larger it may be: as much as one
# such draw is than the root of the mean square of the others in all but CHANCE of the cases, if
# what the curves differ by in each window is normal, with the variances that PyTorch's runs have
# there. (That is an F test whose windows have variances of their own; the quantile is drawn.) The
# loss of the first step, before anything has drifted, is held to the same rule by itself.
#
# Usage: python3 tools/curves_torch.py [NET[:SIZE] ...] [--lamina PROGRAM] [--steps N] [--batch N]
#        [--again N] [--size N] [--data fashion-mnist|mnist|cifar-10] [--table FILE.md]
# SIZE is the height and width of this net's images, --size that of the others that take any.
# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import torch_python

torch_python.require()

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import philox  # noqa: E402
import safetensors_io  # noqa: E402
import torch_data  # noqa: E402
import torch_nets  # noqa: E402
import torch_oracle  # noqa: E402
import torch_rounding  # noqa: E402

WINDOW, AGAIN, CHANCE = 20, 3, 1e-3
SEED, MEAN, STDDEV = 1, 0.5, 0.5
NETS = ["alexnet_mnist", "vgg11_mnist", "resnet18_mnist", "mobilenet_mnist", "googlenet_mnist",
        "alexnet_fashion_small", "vgg11_fashion_small", "nin_fashion", "googlenet_fashion_bn",
        "zfnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
        "vgg_cifar10"]


def arguments():
    parser = argparse.ArgumentParser(description="Loss curves of Lamina and PyTorch.")
    parser.add_argument("--lamina", default="build/default/bin/lamina")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--again", type=int, default=AGAIN,
                        help="runs of PyTorch besides the first")
    parser.add_argument("--size", type=int, default=None, help="height and width of the images")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--table", default=None, help="write the table and the curves to this file")
    parser.add_argument("nets", nargs="*", default=NETS, metavar="NET[:SIZE]")
    flags = parser.parse_args()
    if flags.steps < WINDOW or flags.again < 1:
        parser.error(f"a curve needs {WINDOW} steps, the band one more run of PyTorch")
    return flags


def asked(flags, text):
    """(net, its size) of NET[:SIZE]; None: as the net is defined."""
    name, _, own = text.partition(":")
    return name, int(own) if own else flags.size if torch_nets.is_sized(name) else None


def build(name, size, channels, classes=10):
    return torch_nets.build(name, size=size, classes=classes, channels=channels)


def torch_curve(flags, name, size, state, images, labels, dropout_seed):
    """The loss of every step in PyTorch."""
    net = build(name, size, images.shape[1])
    net.load_state_dict(state)
    torch.manual_seed(dropout_seed)
    shape = torch_nets.input_shape(name, size)[1:]
    order = philox.first_epoch(SEED, len(labels))
    losses = []

    def batches():
        for step in range(flags.steps):
            chosen = order[step * flags.batch:(step + 1) * flags.batch]
            x = torch_data.prepared(images[chosen], MEAN, STDDEV)
            if x.shape[2:] != torch.Size(shape):
                x = F.interpolate(x, size=shape, mode="bilinear", align_corners=False)
            yield x, torch.from_numpy(labels[chosen])

    def seen(output, wanted):  # without auxiliary heads, as Lamina logs it
        main = torch_nets.outputs_of(name, output)["output"].detach()
        losses.append(torch_nets.loss_of_output(name)(main, wanted).item())

    torch_data.train(net, torch_nets.loss_of(name),
                     torch.optim.Adam(net.parameters(), lr=flags.lr), batches(), seen)
    return numpy.array(losses)


def lamina_curve(flags, name, size, state, channels):
    """The loss of every step in Lamina, from its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "weights.safetensors")
        safetensors_io.write(weights, {key: value.numpy() for key, value in state.items()})
        sized = ["--size", str(size)] if size else []
        run = os.path.join(folder, "run")
        done = subprocess.run(
            [flags.lamina, "train", "--net", name, "--data", flags.data, "--weights", weights,
             "--classes", "10", "--channels", str(channels), *sized,
             "--limit", str(flags.steps * flags.batch), "--epochs", "1",
             "--batch-size", str(flags.batch), "--optimizer", "adam", "--lr", str(flags.lr),
             "--normalize", f"{MEAN},{STDDEV}", "--seed", str(SEED), "--log-every", "1",
             "--threads", str(flags.threads), "--device", "cpu", "--out", run],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        tensors, _ = safetensors_io.read(os.path.join(run, "state.safetensors"))
        return tensors["progress.step_losses"][:, 1].copy()


def moved(state, steps, seed):
    """The weights, each moved by about what the roundings of so many steps add up to."""
    generator = torch.Generator().manual_seed(seed)
    far = torch_oracle.FACTOR * steps**0.5 * torch_rounding.UNIT["fp32"]
    return {key: value * (1 + far * torch.randn(value.shape, generator=generator))
            if value.is_floating_point() else value for key, value in state.items()}


def smooth(curve):
    return numpy.convolve(curve, numpy.ones(WINDOW) / WINDOW, mode="valid")


def windows(curve):
    """The means of WINDOW steps each, which have no step in common; the first steps that do not
    fill one are left out."""
    return curve[len(curve) % WINDOW:].reshape(-1, WINDOW).mean(axis=1)


def allowance(squares, runs):
    """How much larger than the root mean square of `runs` distances another one may be. squares:
    what the runs differ by in each window, squared, their mean."""
    generator = numpy.random.default_rng(SEED)
    shape = (100_000, len(squares))
    one = generator.chisquare(1, shape) @ squares
    others = generator.chisquare(runs, shape) @ squares / runs
    return numpy.sqrt(numpy.quantile(one / others, 1 - CHANCE))


def compare(flags, name, size, images, labels):
    torch.manual_seed(SEED)
    net = build(name, size, images.shape[1])
    state = {key: value.clone() for key, value in net.state_dict().items()}
    theirs = torch_curve(flags, name, size, state, images, labels, 1)
    others = [torch_curve(flags, name, size, moved(state, flags.steps, seed), images, labels, seed)
              for seed in range(2, 2 + flags.again)]
    ours = lamina_curve(flags, name, size, state, images.shape[1])
    squares = sum(numpy.square(windows(other) - windows(theirs)) for other in others) / len(others)
    own, far = numpy.sqrt(squares.mean()), numpy.sqrt(
        numpy.square(windows(ours) - windows(theirs)).mean())
    band = allowance(squares, len(others)) * own
    first = numpy.mean([(other[0] - theirs[0])**2 for other in others])**0.5
    first_band = allowance(numpy.ones(1), len(others)) * first
    return {"net": name, "size": size or torch_nets.input_shape(name)[1],
            "start": theirs[0], "lamina": windows(ours)[-1], "torch": windows(theirs)[-1],
            "far": far, "own": own, "band": band,
            "share": max(far / band, abs(ours[0] - theirs[0]) / first_band),
            "curves": [smooth(ours), smooth(theirs), smooth(others[0])]}


def sparkline(curves):
    """The three smoothed curves as one small drawing."""
    high = max(curve.max() for curve in curves)
    low = min(0.0, min(curve.min() for curve in curves))

    def points(curve):
        xs = numpy.linspace(2, 158, len(curve))
        ys = 58 - 56 * (curve - low) / (high - low)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))

    styles = ['stroke="#0b5cad" stroke-width="1.6"', 'stroke="#b3541e" stroke-dasharray="4 2"',
              'stroke="#888" stroke-dasharray="1 2"']
    return "".join(f'<polyline fill="none" {style} points="{points(curve)}"/>'
                   for style, curve in zip(styles, curves))


def write_table(flags, rows, lines):
    path = pathlib.Path(flags.table)
    drawing = path.with_suffix(".svg")
    parts = []
    for i, row in enumerate(rows):
        x, y = 10 + i % 4 * 180, 10 + i // 4 * 90
        parts.append(f'<g transform="translate({x} {y})"><text y="10" font-size="11">{row["net"]}'
                     f'</text><g transform="translate(0 14)">{sparkline(row["curves"])}</g></g>')
    height = 20 + (len(rows) + 3) // 4 * 90
    drawing.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{height}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(parts) + "</svg>\n")
    size = f" --size {flags.size}" if flags.size else ""
    path.write_text(
        "# Loss curves beside PyTorch's\n\nWritten by `python3 tools/curves_torch.py --table "
        f"{flags.table}{size} --batch {flags.batch} "
        f"{' '.join(flags.nets)}`:\nthe same start, the same {flags.steps} batches of "
        f"{flags.batch} of {flags.data}, Adam {flags.lr:g}.\nCurves are means over {WINDOW} steps: solid Lamina, "
        "dashed PyTorch, dotted PyTorch\nfrom weights moved by as much as roundings add up to. The "
        "rule for what is allowed stands at the head of\nthe script; the share is that of the first "
        "step where it is larger.\n\n"
        f"![curves]({drawing.name})\n\n" + "\n".join(lines) + "\n")


def main():
    flags = arguments()
    torch.set_num_threads(flags.threads)
    torch.set_flush_denormal(True)
    images, labels = torch_data.read(flags.lamina, flags.data, flags.steps * flags.batch)
    lines = [f"| net | size | loss of step 1 | of the last {WINDOW}: Lamina | PyTorch | "
             "Lamina from PyTorch | PyTorch from itself | allowed | share |",
             "|---|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    rows, bad = [], []
    for name, size in [asked(flags, net) for net in flags.nets]:
        row = compare(flags, name, size, images, labels)
        rows.append(row)
        lines.append(f"| {name} | {row['size']} | {row['start']:.4f} | {row['lamina']:.4f} | "
                     f"{row['torch']:.4f} | {row['far']:.2g} | {row['own']:.2g} | "
                     f"{row['band']:.2g} | {row['share']:.0%} |")
        print(lines[-1], flush=True)
        if not row["share"] <= 1:
            bad.append(name)
        if flags.table:
            write_table(flags, rows, lines)
    if bad:
        sys.exit(f"outside the band: {', '.join(bad)}")


if __name__ == "__main__":
    main()
