# A run's events, read back by TensorBoard itself: every number of log.csv, at its step, also where
# the run was stopped and went on. TensorBoard comes from PyPI into a folder of its own.
# Usage: tensorboard_test.py LAMINA FOLDER      (exit code 77: it could not be installed)
# SPDX-License-Identifier: Apache-2.0
import csv
import math
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import venv

LAMINA = os.path.abspath(sys.argv[1])
VENV = pathlib.Path(sys.argv[2]).absolute()
RUN = ["--net", "lenet_bn", "--data", "synthetic-digits", "--limit", "600", "--batch", "50",
       "--log-every", "5", "--threads", "2"]
FILE = "events.out.tfevents.lamina"
COLUMNS = {"loss/train": "train_loss", "accuracy/train": "train_acc",
           "accuracy_top5/train": "train_acc5", "loss/val": "val_loss", "accuracy/val": "val_acc",
           "accuracy_top5/val": "val_acc5", "lr": "lr", "images_per_second": "images_per_second",
           "data_wait": "data_wait"}


def expect(condition, what):
    if not condition:
        sys.exit(f"tensorboard_test: {what}")


def in_tensorboards_python():
    """Starts this test again with the Python that has TensorBoard; installs it where it is not."""
    python = VENV / "bin/python"
    importable = [python, "-c", "import tensorboard.backend.event_processing.event_accumulator"]
    if not python.exists() or subprocess.run(importable, capture_output=True, check=False).returncode:
        venv.create(VENV, with_pip=True, clear=True)
        # Older releases look for pkg_resources, which setuptools no longer has.
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                   "tensorboard==2.*", "setuptools<81"]
        done = subprocess.run(install, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"SKIP: pip cannot install tensorboard: {done.stderr[-300:]}")
            sys.exit(77)
    os.execv(python, [python, __file__, *sys.argv[1:], "--inside"])


def train(*arguments):
    done = subprocess.run([LAMINA, "train", *arguments], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"{done.args} ended with {done.returncode}: {done.stderr}")


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def read_events(run):
    """{tag: [(step, value)]}, and the times of all events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    scalars, times = {}, []
    for tag in accumulator.Tags()["scalars"]:
        scalars[tag] = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        times += [event.wall_time for event in accumulator.Scalars(tag)]
    return scalars, times


def check_run(run, begin):
    """The events of the run are the rows of its log. Returns the events."""
    scalars, times = read_events(run)
    expect(times and min(times) >= begin and max(times) <= time.time(), "the times are not the wall clock's")
    with open(run / "log.csv", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    expect(rows, f"{run} has an empty log")
    validated = rows[0]["val_loss"] != ""
    wanted = {tag for tag in COLUMNS if validated or not tag.endswith("/val")}
    expect(set(scalars) == wanted | {"loss/step"}, f"the tags are {sorted(scalars)}")
    for tag in wanted:
        want = [(int(row["step"]), float32(float(row[COLUMNS[tag]]))) for row in rows]
        expect(scalars[tag] == want, f"{run}: {tag} is {scalars[tag]}, the log has {want}")
    steps = [1] + [step for step in range(1, int(rows[-1]["step"]) + 1) if step % 5 == 0]
    expect([step for step, _ in scalars["loss/step"]] == steps, "steps were lost or came twice")
    expect(all(math.isfinite(value) for _, value in scalars["loss/step"]), "a loss is not finite")
    return scalars


def stop_midway(folder, arguments):
    """Interrupts a training after its first epoch."""
    with subprocess.Popen([LAMINA, "train", *arguments, "--out", folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        log = folder / "log.csv"
        while child.poll() is None and not (log.exists() and log.read_text().count("\n") > 1):
            time.sleep(0.002)
        child.send_signal(signal.SIGINT)
    with open(log, encoding="ascii") as file:
        return sum(1 for _ in file) - 1


def main():
    if "--inside" not in sys.argv:
        in_tensorboards_python()
    begin = time.time()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        train(*RUN, "--epochs", "2", "--val-split", "0", "--out", work / "plain")
        check_run(work / "plain", begin)

        train(*RUN, "--epochs", "6", "--val-split", "0.2", "--out", work / "whole")
        whole = check_run(work / "whole", begin)
        # Resuming a finished run changes nothing, and mends what a kill left.
        before = (work / "whole" / FILE).read_bytes()
        (work / "whole" / FILE).write_bytes(before + before[:40])
        train("--resume", work / "whole")
        expect((work / "whole" / FILE).read_bytes() == before, "resuming has changed the events")

        epochs = stop_midway(work / "stopped", [*RUN, "--epochs", "6", "--val-split", "0.2"])
        print(f"stopped after {epochs} epochs")
        train("--resume", work / "stopped")
        stopped = check_run(work / "stopped", begin)
        for tag in whole:
            if tag not in ("images_per_second", "data_wait"):
                expect(stopped[tag] == whole[tag], f"{tag} differs after the run was stopped")
        expect([path.name for path in (work / "stopped").glob("*tfevents*")] == [FILE],
               "there is more than one file of events")
    print(f"tensorboard_test: {sum(map(len, whole.values()))} numbers agree")


main()
