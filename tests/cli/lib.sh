# Shared by the command line tests: run lamina, look at its exit code and its words.
# SPDX-License-Identifier: Apache-2.0
# Usage: source lib.sh; LAMINA is the program under test, WORK a folder that is removed at the end.
set -u
LAMINA=${1:?path of the lamina program}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1
failures=0
checks=0

# expect CODE PATTERN ARGS...: `lamina ARGS` must exit with CODE, print PATTERN (a basic regular
# expression) and, when it fails, say so in one line.
expect() {
  local code=$1 pattern=$2
  shift 2
  local output status
  output=$("$LAMINA" "$@" 2>&1 </dev/null)
  status=$?
  checks=$((checks + 1))
  if [ "$status" -ne "$code" ] || ! grep -q -- "$pattern" <<<"$output"; then
    failures=$((failures + 1))
    printf 'FAILED: lamina %s\n  exit %s, expected %s; expected words: %s\n  %s\n' "$*" "$status" "$code" "$pattern" "$output"
  elif [ "$code" -ne 0 ] && [ "$(grep -c '^lamina: ' <<<"$output")" -ne 1 ]; then
    failures=$((failures + 1))
    printf 'FAILED: lamina %s\n  the error is not one line:\n  %s\n' "$*" "$output"
  fi
}

# check TEXT COMMAND...: the command must succeed.
check() {
  local text=$1
  shift
  checks=$((checks + 1))
  if ! "$@"; then
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$text"
  fi
}

finish() {
  printf '%s checks, %s failed\n' "$checks" "$failures"
  [ "$failures" -eq 0 ]
  exit
}
