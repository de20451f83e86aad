#!/usr/bin/env bash
# The stages of tools/gpu_validate.sh, which sets what they need: VALIDATE_DEVICE, _QUICK, _DEPS,
# _PREBUILT, _LIMIT (seconds) and _WORK, the folder where each leaves its figures as JSON.
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=tools/compiler.sh
source tools/compiler.sh

work=$VALIDATE_WORK device=$VALIDATE_DEVICE
figures=$work/figures bin=$work/bin
programs=(kernel_tests graph_tests net_tests train_tests files_tests data_tests)
mkdir -p "$figures" "$bin"
quick() { [ "$VALIDATE_QUICK" = yes ]; }
[ -z "$VALIDATE_DEPS" ] || [ ! -d "$VALIDATE_DEPS/data" ] || export LAMINA_DATA=$VALIDATE_DEPS/data
export GOMP_SPINCOUNT=2000  # many programs run at a time; see tools/common.h
[ "$device" = cpu ] && precisions=(fp32) || precisions=(fp32 tf32 bf16 fp16)

# run COMMAND...: shows it in the log, then runs it.
run() {
  { printf '+' && printf ' %q' "$@" && echo; } >&2
  "$@"
}

# Runs the lines of stdin as shell commands, so many at a time; fails when one does.
in_parallel() {
  tee >(sed 's/^/+ /' >&2) | tr '\n' '\0' | xargs -0 -r -P "$1" -n 1 bash -c
}

# --- build ---------------------------------------------------------------------------------------
# Folders of NVIDIA's libraries, which may have come as Python packages.
nvidia_libraries() {
  local folders
  folders=$(python3 -c 'import glob, site
print(":".join(f for s in site.getsitepackages() for f in glob.glob(s + "/nvidia/*/lib")))' 2>/dev/null)
  echo "$folders"
}

# Each program by its name: a script that shows it the libraries of the pack and of Python's packages.
wrap_prebuilt() {
  local program libraries
  libraries=${1:+$1/usr/lib/$(uname -m)-linux-gnu:}$(nvidia_libraries)
  for program in "$VALIDATE_PREBUILT"/bin/*; do
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %q "$@"\n' \
      "$libraries" "$(realpath "$program")" >"$bin/${program##*/}"
    chmod +x "$bin/${program##*/}"
  done
}

stage_build() {
  local build=build/gpu options=() libraries="" architecture pack="" targets=(lamina_cli "${programs[@]}")
  if [ -n "$VALIDATE_DEPS" ]; then
    pack=$PWD/$build/pack
    rm -rf "$pack" && mkdir -p "$pack"
    run tar -xJf "$VALIDATE_DEPS/system.tar.xz" -C "$pack" || return 1
  fi
  if [ -n "$VALIDATE_PREBUILT" ]; then
    run wrap_prebuilt "$pack"
  else
    choose_compiler
    if [ -n "$pack" ]; then
      libraries=$pack/usr/lib/$(uname -m)-linux-gnu
      # An rpath of the old kind serves the libraries of the libraries too.
      options+=("-DCMAKE_PREFIX_PATH=$pack/usr" "-DLAMINA_CUDNN_FRONTEND_ROOT=$pack/cudnn-frontend"
        "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags,-rpath,$libraries,-rpath-link,$libraries"
        -DLAMINA_FETCH=OFF)
    fi
    if [ "$device" = cuda ]; then
      architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
      options+=(-DLAMINA_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=${architecture:?no GPU}")
    fi
    run cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release "${options[@]}" || return 1
    [ "$device" = cuda ] || targets+=(simt_tests)
    run cmake --build "$build" --target "${targets[@]}" || return 1
    ln -sf "$PWD/$build"/bin/* "$bin"
  fi
  run "$bin/lamina" devices --json | tee "$figures/devices.json"
  "$bin/lamina" devices | grep "^$device *yes"
}

# --- tests ---------------------------------------------------------------------------------------
stage_tests() {
  local program filter='*'
  ! quick || filter='*fc2_mnist_cpu*:softmax.*:upsample.*:Graph.*:*Device.*:TrainerTest.Early*'
  for program in "${programs[@]}"; do
    [ "$program" != data_tests ] || ! quick || continue
    local shards=1 shard
    [ "$program" != kernel_tests ] || shards=4
    for ((shard = 0; shard < shards; ++shard)); do
      printf 'GTEST_TOTAL_SHARDS=%d GTEST_SHARD_INDEX=%d %q --gtest_filter=%q --gtest_brief=1 %s\n' \
        $shards $shard "$bin/$program" "$filter" \
        "--gtest_output=json:$figures/tests-$program-$shard.json"
    done
  done | in_parallel "$(nproc)"
}

# --- bench ---------------------------------------------------------------------------------------
stage_bench() {
  local options=(--device "$device" --lamina "$bin/lamina" --json "$figures/bench.json")
  if quick; then
    options+=(--rounds 2 --seconds 0.2 --warm-up 2 --block 4 --lamina-steps 20 --threads 2)
  else
    # What is left when all have prepared themselves is for the rounds.
    options+=(--prepare-seconds $((VALIDATE_LIMIT * 6 / 10)) --limit $((VALIDATE_LIMIT - 10)))
  fi
  if [ "$device" = cuda ]; then
    nvidia-smi --query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu \
      --format=csv,noheader,nounits -lms 500 >"$figures/clocks.csv" &
    # shellcheck disable=SC2064
    trap "kill $!" EXIT
  fi
  run python3 tools/bench_compare_torch_gpu.py lenet_bn --batch 64 "${options[@]}"
}

# --- accuracy ------------------------------------------------------------------------------------
stage_accuracy() {
  local precision seed net seeds=(1 2 3) limit=() data=mnist jobs=6
  "$bin/lamina" data check mnist >/dev/null 2>&1 || data=synthetic-digits
  ! quick || { seeds=(1) limit=(limit=512 epochs=1) data=synthetic-digits jobs=1; }
  declare -A recipes=(
    [lenet_bn]="--recipe mnist-000/lenet_bn"
    [lenet5]="--recipe mnist-004/lenet5"
    [lenet_fashion]="--net lenet_fashion --normalize standard --opt sgd --lr 0.9 --batch-size 256 --epochs 10"
    [fc2_mnist]="--recipe mnist-003/fc2_mnist"
    [cnn_mnist]="--recipe mnist-003/cnn_mnist")
  for seed in "${seeds[@]}"; do
    for net in "${!recipes[@]}"; do
      for precision in "${precisions[@]}"; do
        [ "$precision" != tf32 ] || continue
        printf '%q train %s --data %s --device %s --precision %s --seed %s --out %q >%q 2>&1 || %s\n' \
          "$bin/lamina" "${recipes[$net]} ${limit[*]}" $data "$device" "$precision" "$seed" \
          "$work/runs/$net-$precision-$seed" "$work/$net-$precision-$seed.log" \
          "{ tail -n 2 $work/$net-$precision-$seed.log; false; }"
      done
    done
  done | in_parallel $jobs
}

# --- compare -------------------------------------------------------------------------------------
stage_compare() {
  local net precision draws=3 nets=(lenet_bn lenet5 lenet_fashion fc2_mnist cnn_mnist)
  ! quick || { nets=(lenet5 fc2_mnist) draws=1; }
  for precision in "${precisions[@]}"; do
    for net in "${nets[@]}"; do
      printf 'python3 tools/compare_torch.py %s --lamina %q --device %s --precision %s --seeds %d %s\n' \
        "$net" "$bin/lamina" "$device" "$precision" $draws \
        "--batch 64 --train --json $figures/compare-$net-$precision-train.json" \
        "$net" "$bin/lamina" "$device" "$precision" $draws \
        "--batch 7 --json $figures/compare-$net-$precision-eval.json"
    done
  done | in_parallel "$(nproc)"
}

# --- copies --------------------------------------------------------------------------------------
# Two runs that differ in their steps alone: what they differ by in copies is what a step copies.
stage_copies() {
  local cupti header images
  if [ "$device" = cpu ]; then
    echo "The CPU's memory is the device's: a step has nothing to copy."
    return 0
  fi
  for header in /usr/local/cuda/extras/CUPTI/include/cupti.h /usr/local/cuda/include/cupti.h \
    "$(nvidia_libraries | tr : '\n' | sed 's|/lib$|/include/cupti.h|' | xargs -r ls 2>/dev/null | head -n 1)"; do
    [ ! -e "$header" ] || break
  done
  cupti=$(for folder in /usr/local/cuda/extras/CUPTI/lib64 /usr/local/cuda/lib64 \
    $(nvidia_libraries | tr : ' '); do ls "$folder"/libcupti.so* 2>/dev/null; done | head -n 1)
  run "${CC:-gcc}" -shared -fPIC -O1 -o "$work/count_copies.so" tools/count_copies.c \
    -I"${header%/*}" -I/usr/local/cuda/include "$cupti" "-Wl,-rpath,${cupti%/*}" || return 1
  for images in 6400 12800; do
    CUDA_INJECTION64_PATH=$work/count_copies.so LAMINA_COPIES=$figures/copies-$images.json \
      run "$bin/lamina" train --net lenet_bn --data synthetic-digits --limit $images --epochs 2 \
      --batch-size 64 --log-every 1000000 --device cuda --out "$work/copies-$images" || return 1
    cat "$work/copies-$images/result.json" "$figures/copies-$images.json" || return 1
  done
}

# --- sanitizer -----------------------------------------------------------------------------------
# One suite of kernel tests: under compute-sanitizer, or without a GPU as CUDA code on the host.
sanitize() {
  local tool=$1 suite=$2 status options=()
  local log=$figures/sanitizer-$tool-$suite.log
  if [ "$device" = cuda ]; then
    # Libraries try calls that may fail; ours are checked by the programs themselves.
    [ "$tool" != memcheck ] || options=(--report-api-errors no)
    timeout $((VALIDATE_LIMIT - 5)) compute-sanitizer --tool "$tool" "${options[@]}" \
      --error-exitcode 86 "$bin/kernel_tests" --gtest_brief=1 --gtest_filter="$suite.*/cuda:-*FirstNets*:*MoreThanAGrid*" >"$log" 2>&1
  else
    LAMINA_SIMT_ORDER=$tool "$bin/simt_tests" --gtest_brief=1 \
      --gtest_filter="$suite.*/cuda:-*RandomShapes*:*FirstNets*:*MoreThanAGrid*" >"$log" 2>&1
  fi
  status=$?
  echo "$tool $suite: exit code $status"
  tail -n 3 "$log"
  echo $status >"${log%.log}.exit"
  return $status
}

stage_sanitizer() {
  local tool suite suites tools=(memcheck racecheck) program=kernel_tests
  if [ "$device" = cpu ]; then tools=(reverse random) program=simt_tests; fi
  suites=$("$bin/$program" --gtest_list_tests --gtest_filter='*/cuda' | sed -n 's/^\([A-Za-z0-9_]*\)\.$/\1/p')
  ! quick || suites=$(head -n 2 <<<"$suites")
  [ -n "$suites" ] || { echo "there is no kernel test on cuda here" && return 1; }
  export -f sanitize
  export figures device bin
  for tool in "${tools[@]}"; do
    for suite in $suites; do echo "sanitize $tool $suite"; done
  done | in_parallel "$(nproc)"
}

"stage_$1"
