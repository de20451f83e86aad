#!/usr/bin/env bash
# Trains recipes over three seeds and prints the table that the README shows.
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/results.sh [--lamina PROGRAM] [--seeds "1 2 3"] [RECIPE[=MINIMUM]...]
#   MINIMUM: the mean test accuracy in per cent that the recipe has to reach, else exit code 1.
# Exit code 77 when MNIST is not on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lamina=build/release/bin/lamina
[ -x "$lamina" ] || lamina=build/default/bin/lamina
seeds="1 2 3"
recipes=()
while [ $# -gt 0 ]; do
  case "$1" in
    --lamina) lamina=$2 && shift ;;
    --seeds) seeds=$2 && shift ;;
    -*) sed -n '4,7s/^# //p' "$0" >&2 && exit 2 ;;
    *) recipes+=("$1") ;;
  esac
  shift
done
# What the recipes' originals reached, less what three seeds scatter.
[ ${#recipes[@]} -gt 0 ] || recipes=(mnist-000/lenet_bn=97.8 mnist-004/lenet5=97.9)

if [ ! -x "$lamina" ]; then
  echo "$lamina does not exist; build it (tools/quickstart.sh does) or name it with --lamina." >&2
  exit 2
fi
if ! "$lamina" data check mnist >/dev/null 2>&1; then
  echo "SKIP: MNIST is not on this machine; get it with: lamina data get mnist"
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
echo "| recipe | test accuracy, mean of the seeds | lowest | highest | seconds a run |"
echo "|---|---|---|---|---|"
for entry in "${recipes[@]}"; do
  recipe=${entry%%=*}
  minimum=0
  [ "$entry" = "$recipe" ] || minimum=${entry#*=}
  for seed in $seeds; do
    started=$(date +%s%N)
    "$lamina" train --recipe "$recipe" --seed "$seed" --out "$work/run" --overwrite >/dev/null 2>&1
    took=$((($(date +%s%N) - started) / 1000000))
    echo "$(sed -n 's/.*"test_accuracy": \([0-9.e-]*\).*/\1/p' "$work/run/result.json") $took"
  done | awk -v recipe="$recipe" -v minimum="$minimum" '
    { a = 100 * $1; sum += a; ms += $2; if (NR == 1 || a < low) low = a; if (a > high) high = a }
    END {
      printf "| %s | %.2f %% | %.2f %% | %.2f %% | %.1f |\n", recipe, sum / NR, low, high, ms / NR / 1000
      if (sum / NR < minimum) { printf "%s: below %s %%\n", recipe, minimum; exit 1 }
    }' || status=1
done
exit $status
