# lamina kernels, as a user meets it: filters, files, coverage, and the loop bench - compare.
#
#   python3 tests/cli/kernels_test.py build/default/bin/lamina
# SPDX-License-Identifier: Apache-2.0
import csv
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

LAMINA = str(pathlib.Path(sys.argv[1]).resolve())


def kernels(*words, expect=0, program=LAMINA):
    done = subprocess.run([program, "kernels", *words], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == expect, (words, done.returncode, done.stdout[-2000:], done.stderr)
    return done


def test_files(folder):
    table, junit = folder / "cases.csv", folder / "cases.xml"
    kernels("test", "--op", "accumulate,pool", "--no-nets", "--device", "cpu", "--csv", str(table),
            "--junit", str(junit))
    rows = list(csv.DictReader(table.open()))
    run = [row for row in rows if row["status"] != "left out"]
    assert len(run) > 500 and {row["status"] for row in run} == {"passed"}, len(run)
    left_out = {row["message"] for row in rows if row["status"] == "left out"}
    assert left_out <= {"large for 16 bits"}, left_out
    assert {row["dtype"] for row in run} == {"f32", "bf16"}
    assert {row["table"].split(".")[0] for row in rows} == {"accumulate", "pool"}
    suites = xml.parse(junit).getroot()
    assert sum(int(suite.get("tests")) for suite in suites) == len(rows)
    assert all(float(row["percent_of_budget"]) <= 100 for row in rows)


def test_one_case():
    listed = kernels("list", "--op", "conv2d", "--no-nets", "--device", "cpu").stdout.splitlines()
    name, direction, dtype = next(line.split() for line in listed if "random" in line)
    one = ("--op", "conv2d", "--case", name, "--pass", direction, "--dtype", dtype, "--device",
           "cpu", "--no-nets")
    assert "1 of 1 cases passed" in kernels("test", *one, "--seed", "7").stdout
    # Another seed draws other numbers, so the largest error is another one.
    assert (kernels("test", *one, "--seed", "8", "-v").stdout
            != kernels("test", *one, "--seed", "7", "-v").stdout)


def test_layers():
    text = kernels("test", "--net", "lenet_bn,vgg11_bn", "--layer", "conv1.0,features.11",
                   "--device", "cpu", "-v").stdout
    for name in ("conv2d/lenet_bn/conv1.0@2/exact", "conv2d/vgg11_bn/features.11@1/real"):
        for direction in ("forward", "weights", "data"):
            assert f"{name} {direction} in f32 on cpu" in text, (name, text)


def test_wrong_requests():
    assert "Did you mean 'pool'" in kernels("test", "--op", "pol", expect=2).stderr
    assert "Did you mean 'resnet50'" in kernels("test", "--net", "resnet5o", expect=2).stderr
    assert "no case is named so" in kernels("test", "--case", "nothing", "--op", "lrn", "--device",
                                            "cpu", expect=2).stderr


def test_coverage():
    text = kernels("coverage").stdout
    assert text.rstrip().endswith("0 holes") and "HOLE" not in text, text


def test_bench_and_compare(folder):
    saved, page = folder / "base.json", folder / "page.html"
    some = ("--net", "lenet_bn", "--op", "pool,batch_norm", "--device", "cpu")
    text = kernels("bench", *some, "--rounds", "5", "--save", str(saved), "--html",
                   str(page)).stdout
    assert "max_pool/lenet_bn/conv1.3@8" in text and "GB/s" in text, text
    file = json.loads(saved.read_text())
    assert file["ceilings"]["copy_gbps"] > 0 and file["ceilings"]["matmul_tflops"]["f32"] > 0
    assert all(len(row["rounds"]) == 5 for row in file["rows"])
    assert "http" not in page.read_text().replace("http://www.w3.org", ""), "it loads something"

    # Two programs: the same one is not slower than itself, one that waits is.
    flags = [f"--bench-flag={word}" for word in
             ("--net=lenet_bn", "--op=pool", "--pass=forward", "--device=cpu")]
    kernels("compare", LAMINA, LAMINA, *flags)
    slow = folder / "slow"
    slow.write_text(f'#!/bin/sh\nexec "{LAMINA}" "$@" --handicap 15\n')
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    text = kernels("compare", LAMINA, str(slow), *flags, expect=1).stdout
    assert text.startswith("SLOWER"), text


def main():
    os.environ.pop("LAMINA_TEST_SEED", None)
    with tempfile.TemporaryDirectory() as folder:
        test_files(pathlib.Path(folder))
        test_one_case()
        test_layers()
        test_wrong_requests()
        test_coverage()
        test_bench_and_compare(pathlib.Path(folder))
    print("lamina kernels: passed")


main()
