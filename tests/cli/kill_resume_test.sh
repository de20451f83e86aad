#!/usr/bin/env bash
# A run killed (SIGKILL) at random moments and resumed ends with the weights of the run that was left
# alone, bit for bit; so does one stopped with Ctrl-C.
# SPDX-License-Identifier: Apache-2.0
# Usage: kill_resume_test.sh LAMINA [TRIES] [SEED]
source "$(dirname "$0")/lib.sh"
tries=${2:-10}
seed=${3:-$(date +%s)}
RANDOM=$seed
echo "seed $seed (repeat with: kill_resume_test.sh LAMINA $tries $seed)"

events=events.out.tfevents.lamina
settings=(--net lenet_bn --data synthetic-digits --limit 3000 --val-split 0.2 --epochs 3 --batch 64 --lr 1e-3 --save-every 5 --log-every 7 --threads 2)
expect 0 'test accuracy' train "${settings[@]}" --out whole
start=$(date +%s%N)
expect 0 'test accuracy' train "${settings[@]}" --out again # timed: the first start reads files in
milliseconds=$((($(date +%s%N) - start) / 1000000))
echo "the whole run takes $milliseconds ms"
check 'two whole runs are equal' cmp -s again/weights.safetensors whole/weights.safetensors

# kill_at SIGNAL MS ARGS...: starts lamina train and sends the signal after MS milliseconds.
kill_at() {
  local signal=$1 delay=$2
  shift 2
  "$LAMINA" train "$@" >>log 2>&1 </dev/null &
  local pid=$!
  sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
  kill "-$signal" $pid 2>/dev/null && killed=$((killed + 1))
  wait $pid 2>/dev/null
}

total_killed=0
for try in $(seq "$tries"); do
  killed=0
  : >log
  # A run that ended before the signal came proves nothing: again, and sooner.
  moment=$milliseconds
  while [ $killed = 0 ] && [ "$moment" -gt 0 ]; do
    rm -rf "try$try"
    kill_at KILL $((RANDOM % moment)) "${settings[@]}" --out "try$try"
    moment=$((moment * 3 / 4))
  done
  for _ in 1 2; do
    [ -e "try$try/config.json" ] && kill_at KILL $((RANDOM % milliseconds)) --resume "try$try"
  done
  if [ -e "try$try/config.json" ]; then
    expect 0 'test accuracy' train --resume "try$try"
  else
    expect 0 'test accuracy' train "${settings[@]}" --out "try$try" # killed before it began
  fi
  check "try $try: the weights are equal" cmp -s "try$try/weights.safetensors" whole/weights.safetensors
  check "try $try: the logs have equal losses" cmp -s <(cut -d, -f1-7 "try$try/log.csv") <(cut -d, -f1-7 whole/log.csv)
  # Records of equal steps are of one length, whatever their times.
  check "try $try: the events are those of all steps" test "$(wc -c <"try$try/$events")" -eq "$(wc -c <"whole/$events")"
  check "try $try: no temporary is left behind" test -z "$(find "try$try" -name '*.tmp*')"
  total_killed=$((total_killed + killed))
  rm -rf "try$try"
done
echo "$total_killed runs were killed"
check 'every try has hit a living run' test "$total_killed" -ge "$tries"

killed=0
kill_at INT $((milliseconds / 2)) "${settings[@]}" --out stopped
expect 0 'test accuracy' train --resume stopped
check 'Ctrl-C and resume give the same weights' cmp -s stopped/weights.safetensors whole/weights.safetensors
finish
