# Planted faults: the lists next to this file, and how one is put into a copy of the sources.
#
#   fault pool-window-end: edge, op pool        the name, the kind and the op whose cases are asked
#   in kernels/cpu/pool.cpp                     a source or a header of a backend's room
#   builds kernels/cpu/pool.cpp                 behind a header only: the source that shows it
#   why the slip, in a sentence
#   chance the reason                           where a run may miss it: it gets more of them
#   -old text, to the letter                    it occurs exactly once in the file; the lines of
#   +new text                                   either side are one text, and + may be missing
#
# Lines that start with # and empty ones mean nothing. The backend is the name of the list.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import pathlib
import re
import sys

KINDS = ("edge", "stride", "accumulation", "tail", "rounding", "race")
BACKENDS = ("cpu", "cuda")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def refuse(text):
    print(text, file=sys.stderr)
    sys.exit(2)


@dataclasses.dataclass
class Fault:
    name: str
    backend: str
    kind: str
    op: str
    file: str = ""
    builds: str = ""  # the source that is compiled
    why: str = ""
    chance: str = ""
    old: str = ""
    new: str = ""

    def mutated(self):
        """The file with the fault in it."""
        text = (ROOT / self.file).read_text()
        count = text.count(self.old)
        if count != 1:
            refuse(f"{self.name}: its old text occurs {count} times in {self.file}, not once; "
                   f"keep tests/mutants/{self.backend}.faults in step with the code.\n{self.old}")
        return text.replace(self.old, self.new)


def read_list(backend):
    path = pathlib.Path(__file__).with_name(f"{backend}.faults")
    faults = []
    old, new = [], []

    def finish():
        if faults:
            fault = faults[-1]
            fault.old, fault.new = "\n".join(old), "\n".join(new)
            fault.builds = fault.builds or fault.file
            if not (fault.file and fault.why and fault.old) or fault.builds.endswith(".h"):
                refuse(f"{path.name}: {fault.name} lacks its file, its reason, its old text or "
                       "the source that a header is built with.")
        old.clear()
        new.clear()

    for number, line in enumerate(path.read_text().splitlines(), 1):
        head = re.fullmatch(r"fault ([a-z0-9-]+): (\w+), op (\w+)", line)
        if head:
            finish()
            name, kind, op = head.groups()
            if kind not in KINDS or any(name == fault.name for fault in faults):
                refuse(f"{path.name}:{number}: no such kind, or a second {name}: {line}")
            faults.append(Fault(f"{backend}-{name}", backend, kind, op))
        elif line[:1] in "+-" and line and faults:
            (old if line[0] == "-" else new).append(line[1:])
        elif line.partition(" ")[0] in ("in", "builds", "why", "chance") and faults:
            word, _, value = line.partition(" ")
            setattr(faults[-1], {"in": "file"}.get(word, word), value)
        elif line and not line.startswith("#"):
            refuse(f"{path.name}:{number}: not a line of a list of faults: {line}")
    finish()
    return faults


def read_all():
    return [fault for backend in BACKENDS for fault in read_list(backend)]


def sample(faults, count):
    """A fixed subset: every kind on every backend in turn, the op that was taken least first, and
    nothing that takes luck to find."""
    groups = [[fault for fault in faults
               if (fault.kind, fault.backend) == (kind, backend) and not fault.chance]
              for kind in KINDS for backend in BACKENDS]
    taken, ops = [], {}
    while len(taken) < count and any(groups):
        for group in filter(None, groups):
            fault = min(group, key=lambda fault: ops.get(fault.op, 0))
            group.remove(fault)
            ops[fault.op] = ops.get(fault.op, 0) + 1
            taken.append(fault)
    return taken[:count]
