#!/usr/bin/env bash
# Builds everything and runs the whole suite. The last line is "N passed, N failed, N skipped".
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/compiler.sh
source tools/compiler.sh

usage() {
  cat <<'TEXT'
usage: tools/test.sh [--quick] [--sanitize address,undefined|thread] [option of ctest]...
  --quick     leave out the tests labelled slow
  --sanitize  build and run under sanitizers
Other options go to ctest, such as -R NAME to choose tests.
TEXT
}

preset=default
options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) options+=(-LE '^slow$') ;;
    --sanitize | --sanitize=*)
      kind=${1#--sanitize}
      if [ -n "$kind" ]; then kind=${kind#=}; else
        kind=${2:-}
        [ $# -lt 2 ] || shift
      fi
      case "$kind" in
        address,undefined) preset=asan ;;
        thread) preset=tsan ;;
        *) usage >&2 && echo "test: unknown sanitizers '$kind'" >&2 && exit 2 ;;
      esac
      ;;
    -h | --help) usage && exit 0 ;;
    *) options+=("$1") ;;
  esac
  shift
done

started=$SECONDS
tools/bootstrap.sh
choose_compiler
cmake --preset "$preset" -DLAMINA_SPILLS_FAIL=ON
cmake --build --preset "$preset"
built=$((SECONDS - started))

report=$PWD/build/$preset/tests.xml
rm -f "$report"
status=0
ctest --preset "$preset" --output-junit "$report" "${options[@]}" </dev/null || status=$?
if [ ! -s "$report" ]; then
  echo "test: ctest ran no test and left no $report (exit code $status)." >&2
  exit 1
fi

# ctest's report: a <testcase> a case; what the case printed stands in <system-out>, where GoogleTest
# gives the reason of a skip on the line after "FILE:LINE: Skipped".
awk -v preset="$preset" -v built="$built" -v took=$((SECONDS - started)) -v status="$status" '
  function attribute(line, name,    parts) {
    if (!match(line, "[ \t]" name "=\"[^\"]*\"")) return ""
    split(substr(line, RSTART, RLENGTH), parts, "\"")
    return plain(parts[2])
  }
  function plain(text) {
    gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text)
    gsub(/&apos;/, "\047", text); gsub(/&amp;/, "\\&", text)
    return text
  }
  /<testcase / {
    name = attribute($0, "name"); state = attribute($0, "status")
    seconds = attribute($0, "time") + 0
    why = ""; message = ""; next_is_reason = 0
    for (i = ++cases; i > 1 && seconds > slow[i - 1]; --i) { slow[i] = slow[i - 1]; who[i] = who[i - 1] }
    slow[i] = seconds; who[i] = name
  }
  /<skipped / { message = attribute($0, "message") }
  next_is_reason && NF { if ($0 !~ /^\[  SKIPPED/) why = plain($0); next_is_reason = 0 }
  why == "" && /: Skipped$/ { next_is_reason = 1 }
  why == "" && /^(.*<system-out>)?SKIP(PED)?: / { why = plain($0); sub(/^.*SKIP(PED)?: /, "", why) }
  /<\/testcase>/ {
    if (state == "run") ++passed
    else if (state == "disabled" || message ~ /^SKIP_/) {
      ++skipped
      sub(/<\/system-out>.*/, "", why)
      if (why == "") why = state == "disabled" ? "disabled" : "no reason given"
      ++count[why]
      if (!(why in first)) { first[why] = name; order[++reasons] = why }
    } else bad[++failed] = name
  }
  END {
    printf "\n%d cases in %d s, %d s of them to build", passed + failed + skipped, took, built
    for (i = 1; i <= 3 && i <= cases; ++i)
      printf "%s %s %.1f s", (i == 1 ? "; slowest:" : ","), who[i], slow[i]
    print "."
    for (i = 1; i <= reasons; ++i)
      printf "skipped %d: %s (%s%s)\n", count[order[i]], order[i], first[order[i]],
             (count[order[i]] > 1 ? ", ..." : "")
    for (i = 1; i <= failed; ++i) {
      pattern = bad[i]
      gsub(/[][().*+?^$|\\]/, "\\\\&", pattern)
      printf "failed: %s\n  again: ctest --preset %s -R \047^%s$\047\n", bad[i], preset, pattern
    }
    if (!failed && status != 0) printf "failed: ctest itself, exit code %d\n", status
    if (!cases) print "failed: there was no test to run"
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0 || status != 0 || !cases
  }' "$report"
