# tools/gpu_validate.sh without a GPU: a dry run on the CPU leaves every stage in results.json, and
# the bars hold, and break, as the figures of a GPU would have it.
#   gpu_validate_test.py BUILD      (the build folder whose programs are run)
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import torch_python  # noqa: E402

STAGES = {"build": "devices", "tests": "ran", "bench": "results", "accuracy": "lenet_bn",
          "compare": "cases", "copies": None, "sanitizer": "jobs"}
NETS = ("lenet_bn", "lenet5", "lenet_fashion", "fc2_mnist", "cnn_mnist")


def expect(condition, what):
    if not condition:
        sys.exit(f"gpu_validate_test: {what}")


def dry_run(build, folder):
    command = [ROOT / "tools/gpu_validate.sh", "--device", "cpu", "--quick", "--prebuilt", build,
               folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    logs = "".join(f"--- {log.name}\n{log.read_text()[-1500:]}" for log in folder.glob("logs/*"))
    expect(done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}{logs}")
    results = json.loads((folder / "results.json").read_text())
    expect(list(results["stages"]) == ["build", "tests", "bench", "accuracy", "compare", "copies",
                                       "sanitizer"], f"the stages are {list(results['stages'])}")
    for name, key in STAGES.items():
        stage = results["stages"][name]
        expect(stage["exit_code"] == 0, f"{name} ended with {stage['exit_code']}")
        expect(key is None or stage["figures"].get(key), f"{name} has no figures '{key}'")
    expect(set(results["stages"]["accuracy"]["figures"]) == set(NETS), "a net was not trained")
    expect(all(bar["holds"] is None for bar in results["bars"]), "a bar was judged without a GPU")
    expect(results["commit"] is None or len(results["commit"]) == 40, "the commit is no hash")
    again = subprocess.run(command, capture_output=True, check=False)
    expect(again.returncode == 2, "results were overwritten")


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value) if not isinstance(value, str) else value)


def collect(folder, ratio=10.5, fp32=0.98, bf16=0.979, suite_exit="0", to_host=2, within=True,
            failed=False):
    """The bars that do not hold for the figures of an imagined GPU, and the exit code."""
    work, out = folder / "work", folder / "out"
    figures = work / "figures"
    case = {"name": "Shapes/cuda", "status": "RUN", "result": "COMPLETED"}
    if failed:
        case["failures"] = [{"failure": "off"}]
    write(figures / "tests-kernel_tests-0.json",
          {"testsuites": [{"name": "AddKernel", "testsuite": [case]}]})
    write(figures / "bench.json", {"results": [], "ratios": [
        {"precision": "any", "mode": mode, "ratio": value}
        for mode, value in (("eager", ratio), ("compiled", 3.5))]})
    write(figures / "compare-lenet5-bf16-eval.json", [{"within": within}])
    write(figures / "sanitizer-memcheck-AddKernel.log", "===== ERROR SUMMARY: 0 errors\n")
    write(figures / "sanitizer-memcheck-AddKernel.exit", suite_exit)
    for net in NETS:
        for precision, accuracy in (("fp32", fp32), ("bf16", bf16), ("fp16", 0.981)):
            for seed in (1, 2, 3):
                write(work / f"runs/{net}-{precision}-{seed}/result.json",
                      {"data": "mnist", "test_accuracy": accuracy, "test_images": 10000})
    for images, steps, count in ((6400, 200, 2), (12800, 400, to_host)):
        write(work / f"copies-{images}/result.json", {"steps": steps})
        write(figures / f"copies-{images}.json", {"to_device": 5, "to_host": count})
    stages = "".join(f"{name}\t0\t1000000000\t10\n" for name in STAGES)
    write(work / "stages.tsv", stages)
    for name in STAGES:
        write(out / f"logs/{name}.log", "+ true\n")
    environment = dict(os.environ, VALIDATE_DEVICE="cuda", VALIDATE_QUICK="no")
    done = subprocess.run([sys.executable, ROOT / "tools/gpu_results.py", work, out], check=False,
                          capture_output=True, env=environment)
    results = json.loads((out / "results.json").read_text())
    return [bar["name"] for bar in results["bars"] if not bar["holds"]], done.returncode


def bars(folder):
    broken = {
        "tests": {"failed": True}, "sanitizers": {"suite_exit": "86"},
        "outputs and gradients": {"within": False},
        "steps a second over PyTorch eager": {"ratio": 9.99},
        "copies between host and device a step": {"to_host": 202}}
    expect(collect(folder / "good") == ([], 0), "good figures were refused")
    for name, change in broken.items():
        found = collect(folder / name.replace(" ", "-"), **change)
        expect(found == ([name], 1), f"{change} should break '{name}' alone, but: {found}")
    found = collect(folder / "learnt", fp32=0.95)
    expect(found == (["accuracy of lenet5 in fp32", "accuracy of lenet_bn in fp32",
                      "accuracy of lenet_fashion in fp32"], 1), f"too little was learnt: {found}")
    found = collect(folder / "accuracy", bf16=0.96)
    expect(found == ([f"accuracy of {net} in bf16" for net in sorted(NETS)], 1),
           f"two points of accuracy were not missed: {found}")


def main():
    torch_python.require()
    with tempfile.TemporaryDirectory() as folder:
        bars(pathlib.Path(folder) / "bars")
        dry_run(sys.argv[1], pathlib.Path(folder) / "dry")
    print("gpu_validate: every stage leaves its figures and every bar can break")


if __name__ == "__main__":
    main()
