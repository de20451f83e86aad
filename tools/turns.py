# Processes that run training steps when they are told to, and rounds in which they take turns.
#
# A turn lasts some tens of milliseconds, or one step where that is longer, so that whatever else a
# machine does hits all sides alike: what counts is the ratio of two turns next to each other. Each
# side says one line when it is ready, then reads a number of steps a line and answers with a list
# of their milliseconds (`lamina bench NET --serve`, torch_cpu_step.py). All sides stay in memory.
# SPDX-License-Identifier: Apache-2.0
import json
import os
import statistics
import subprocess
import tempfile
import time

TURN = 100.0   # ms, about
PAUSE = 0.02   # seconds after a turn, in which the threads of that side go to sleep
LONGEST = 200  # steps of a turn


class Failed(Exception):
    """A side ended before it answered; the text is the last line of what it said."""


class Side:
    """A process that runs steps; .turns has the median milliseconds of a step, turn by turn."""

    def __init__(self, name, command, environment=None):
        self.name, self.turns, self.steps, self.least = name, [], 1, float("inf")
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.about = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        status = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        raise Failed(said[-1] if said else f"ended with {status}")

    def run(self, steps):
        """The milliseconds of so many steps."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._answer()

    def warm_up(self, seconds):
        """Runs steps for so long, two at least, and finds how many of them make a turn."""
        begin = time.monotonic()
        times = self.run(2)[1:]
        while time.monotonic() - begin < seconds:
            times += self.run(1)
        self.steps = max(1, min(LONGEST, round(TURN / statistics.median(times))))

    def turn(self):
        times = self.run(self.steps)
        self.turns.append(statistics.median(times))
        self.least = min(self.least, *times)
        time.sleep(PAUSE)

    @property
    def ms(self):
        return statistics.median(self.turns)

    def close(self):
        """Ends the process; the most memory it had resident in its whole life, in MB."""
        self.process.stdin.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss / 1024


def alternate(sides, seconds, least):
    """Rounds of one turn each, for so many seconds of all sides together and `least` times."""
    begin = time.monotonic()
    for _ in range(least):
        for side in sides:
            side.turn()
    while time.monotonic() - begin < seconds:
        for side in sides:
            side.turn()


def ratio(longer, shorter):
    """How many times as long a step of one side is, round by round: median and middle half."""
    rounds = [a / b for a, b in zip(longer.turns, shorter.turns)]
    low, median, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high, "rounds": len(rounds)}
