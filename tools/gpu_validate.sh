#!/usr/bin/env bash
# Shows on a machine with a GPU what Lamina claims: builds, tests, checks with the sanitizers, trains,
# times beside PyTorch, and leaves results.json and logs/ in a folder. docs/gpu.md says how to read it.
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

usage() {
  cat <<'TEXT'
usage: tools/gpu_validate.sh [options] FOLDER
  FOLDER             receives results.json and logs/
  --deps PACK        libraries, headers and images that travel with the tree (see --pack)
  --prebuilt BUILD   use the programs of this build folder and build nothing
  --seconds N        end after N seconds (default 530); a stage that has no time left is left out
  --only "STAGE..."  these stages alone, of: build tests bench accuracy compare copies sanitizer
  --device cpu       the CPU instead of the GPU: shows that the script works, judges nothing
  --quick            as little of everything as shows that the script works
       tools/gpu_validate.sh --pack PACK
  makes PACK, on a Debian or Ubuntu with network where tools/bootstrap.sh has run
Exit codes: 0 all is shown, 1 something is not, 2 wrong arguments.
TEXT
}
refuse() {
  usage >&2
  echo "gpu_validate: $1" >&2
  exit 2
}

export VALIDATE_DEVICE=cuda VALIDATE_QUICK=no VALIDATE_DEPS="" VALIDATE_PREBUILT=""
stages="build tests bench accuracy compare copies sanitizer"
out="" seconds=530 only=$stages
while [ $# -gt 0 ]; do
  case "$1" in
    --pack | --deps | --prebuilt | --seconds | --only | --device)
      [ -n "${2:-}" ] || refuse "$1 wants a value"
      case "$1" in
        --pack) exec tools/gpu_pack.sh "$2" ;;
        --deps) VALIDATE_DEPS=$2 ;;
        --prebuilt) VALIDATE_PREBUILT=$2 ;;
        --seconds) seconds=$2 ;;
        --only) only=$2 ;;
        --device) VALIDATE_DEVICE=$2 ;;
      esac
      shift
      ;;
    --quick) VALIDATE_QUICK=yes ;;
    -h | --help) usage && exit 0 ;;
    -*) refuse "unknown option $1" ;;
    *) [ -z "$out" ] || refuse "two folders: $out and $1" && out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || refuse "name the folder for the results"
[[ $VALIDATE_DEVICE =~ ^(cuda|cpu)$ ]] || refuse "the device is cuda or cpu, not $VALIDATE_DEVICE"
[[ $seconds =~ ^[0-9]+$ ]] || refuse "--seconds wants a number, not $seconds"
for folder in "$VALIDATE_DEPS" "$VALIDATE_PREBUILT"; do
  [ -z "$folder" ] || [ -d "$folder" ] || refuse "there is no folder $folder"
done
for name in $only; do
  [[ " $stages " == *" $name "* ]] || refuse "there is no stage $name"
done
# A run must not take the results of another for its own.
[ ! -e "$out/results.json" ] || refuse "$out holds results already; name another folder"

mkdir -p "$out/logs" || exit 1
out=$(cd "$out" && pwd)
VALIDATE_WORK=$(mktemp -d)
export VALIDATE_WORK
trap 'rm -rf "$VALIDATE_WORK"' EXIT
began=$SECONDS

# stage NAME LIMIT: runs it for at most LIMIT seconds; what it found lies in the work folder.
stage() {
  local name=$1 limit=$2 left=$((seconds - (SECONDS - began))) status started
  [[ " $only " == *" $name "* ]] || return 0
  [ "$limit" -le "$left" ] || limit=$left
  started=$(date +%s%N)
  if [ "$limit" -lt 2 ]; then
    echo "no time was left for this stage" >"$out/logs/$name.log"
    status=124 limit=0
  else
    VALIDATE_LIMIT=$limit timeout -k 5 "$limit" tools/gpu_stages.sh "$name" >"$out/logs/$name.log" 2>&1
    status=$?
  fi
  printf '%s\t%s\t%s\t%s\n' "$name" "$status" "$(($(date +%s%N) - started))" "$limit" \
    >>"$VALIDATE_WORK/stages.tsv"
  printf '%-10s exit code %3d  %4d s of %d\n' "$name" "$status" $((SECONDS - began)) "$seconds"
}

# The sum of the limits stays below the default of --seconds, so every stage gets its share.
stage build 150
stage tests 60
stage bench 110
stage accuracy 60
stage compare 50
stage copies 15
stage sanitizer 80

python3 tools/gpu_results.py "$VALIDATE_WORK" "$out"
