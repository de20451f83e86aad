#!/usr/bin/env bash
# What the code must look like, checked without running it. Each check prints what is wrong and where;
# the script ends with 1 when any did. It changes nothing; to lay code out: tools/lint.sh --fix
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=tools/compiler.sh
source tools/compiler.sh
choose_compiler

usage() {
  cat <<'TEXT'
usage: tools/lint.sh [--fix] [--all | --no-tidy]
  --fix      let clang-format rewrite the files first
  --all      clang-tidy over every source; without it, over the changed ones and as many more as
             LAMINA_TIDY_SECONDS (default 240) allow
  --rooms "ROOM..."  clang-tidy over every source of these folders, whatever it takes
  --no-tidy  leave clang-tidy out
TEXT
}

fix=no tidy=budget rooms=(engine kernels layers nets tools)
while [ $# -gt 0 ]; do
  argument=$1
  shift
  case "$argument" in
    --rooms)
      tidy=all
      read -ra rooms <<<"${1:?--rooms needs the names of folders}"
      shift
      ;;
    --fix) fix=yes ;;
    --all) tidy=all ;;
    --no-tidy) tidy=no ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && echo "lint: unknown option $argument" >&2 && exit 2 ;;
  esac
done

failures=0

# report CHECK [OUTPUT]: one line a check; any output is a finding.
report() {
  if [ -z "${2:-}" ]; then
    printf 'ok    %s\n' "$1"
  else
    printf 'FAIL  %s\n' "$1"
    awk '{ print "        " $0 }' <<<"$2"
    failures=$((failures + 1))
  fi
}

skipped() {
  printf 'skip  %s: %s\n' "$1" "$2"
}

mapfile -t sources < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
mapfile -t scripts < <(git ls-files '*.sh' '.ci/*')
mapfile -t python < <(git ls-files '*.py')
mapfile -t texts < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' '*.sh' '*.py' '*.md' '*.cmake' \
  '*CMakeLists.txt' 'CMakePresets.json' '.ci/*')

# --- Layout --------------------------------------------------------------------------------------
# Versions of clang-format differ in details; the project's is 14, Debian 12's.
formatter=$(command -v clang-format-14 || command -v clang-format)
version=$("${formatter:-false}" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$version" = 14 ]; then
  [ "$fix" = no ] || "$formatter" -i "${sources[@]}"
  report "clang-format" "$("$formatter" --dry-run -Werror "${sources[@]}" 2>&1 | grep 'error:' | head -n 20)"
else
  skipped "clang-format" "version 14 wanted, found ${version:-none}; tools/bootstrap.sh --with-lint"
fi

# --- Text ----------------------------------------------------------------------------------------
report "SPDX line in every source" \
  "$(grep -LE '^(//|#) SPDX-License-Identifier: Apache-2.0$' "${sources[@]}" "${scripts[@]}" "${python[@]}")"
# The brackets keep this script from finding itself.
report "no promises of later work" \
  "$(grep -niEw 't[o]do|f[i]xme|x[x]x|p[l]aceholder|for n[o]w|not implemented y[e]t' "${texts[@]}" | cut -c1-160)"
report "no paths of one machine" \
  "$(grep -nE '(^|[^A-Za-z0-9_.])/(work|farm|root)/' "${texts[@]}" | cut -c1-160)"
report "no file over 500 lines" \
  "$(wc -l "${sources[@]}" "${scripts[@]}" "${python[@]}" | awk '$1 > 500 && $2 != "total" { print $2 ": " $1 " lines" }')"
report "no file over 1 MiB" \
  "$(git ls-files -z | xargs -0 stat -c '%s %n' | awk '$1 > 1048576 { print $2 ": " $1 " bytes" }')"
report "no trailing white space" \
  "$(grep -nE '[[:blank:]]+$' "${texts[@]}" | grep -v '\.md:' | cut -c1-120)"

# --- Commits -------------------------------------------------------------------------------------
report "commit subjects: 'scope: verb object', at most 72 columns" \
  "$(git log --no-merges -n 50 --format=%s |
    awk 'length($0) > 72 || !/^[a-z0-9_.\/-]+(, [a-z0-9_.\/-]+)*: [a-z]/ || /\.$/')"

# --- Rooms ---------------------------------------------------------------------------------------
mapfile -t pure < <(git ls-files 'nets/*' 'layers/*' 'engine/graph/*')
if [ ${#pure[@]} -gt 0 ]; then
  report "nets, layers and the graph know no backend library" \
    "$(grep -nE '#include *[<"](cuda|cudnn|cublas|dnnl|oneapi)' "${pure[@]}")"
  report "nets, layers and the graph know no data and no training" \
    "$(grep -nE '#include *"(engine/(data|train)|tools)/' "${pure[@]}")"
fi
mapfile -t low < <(git ls-files 'kernels/*' 'engine/core/*' 'engine/files/*')
report "kernels, files and the core know no graph" \
  "$(grep -nE '#include *"(nets|layers|tools|engine/(graph|data|train))/' "${low[@]}")"

# A header with LAMINA_OP is a contract; beside the ops a room may keep helpers of its own.
mapfile -t ops < <(git ls-files 'kernels/*.h' ':!kernels/*/*' ':!kernels/op.h' | xargs grep -l 'LAMINA_OP(' |
  xargs -n 1 basename -s .h)
for room in ref cpu cuda suite; do
  report "kernels/$room has a source for each of the ${#ops[@]} op headers" "$(
    for op in "${ops[@]}"; do
      [ -e "kernels/$room/$op.cpp" ] || [ -e "kernels/$room/$op.cu" ] || echo "missing: kernels/$room/$op.cpp"
    done)"
done
# Every entry point of a contract is called by the cases of its op.
report "kernels/suite calls every op" "$(
  for op in "${ops[@]}"; do
    sed -n 's/^LAMINA_OP(\(.*\))$/\1/p' "kernels/$op.h" | while read -r entry; do
      grep -qw "$entry" "kernels/suite/$op.cpp" || echo "kernels/$op.h: $entry has no case"
    done
  done)"

declare -A ceiling=(
  [engine]=17000 [kernels]=25500 [layers]=1500 [nets]=2200 [tools]=13000 [tests]=20000)
for room in engine kernels layers nets tools tests; do
  lines=$(git ls-files -z "$room" | grep -zE '\.(h|cpp|cu|cuh|sh|py)$' | xargs -0 -r cat | wc -l)
  over=""
  [ "$lines" -le "${ceiling[$room]}" ] ||
    over="Make it simpler, or raise the ceiling in tools/lint.sh in a commit that says why."
  report "$(printf '%-8s %5d lines of %d' "$room" "$lines" "${ceiling[$room]}")" "$over"
done

# --- Scripts -------------------------------------------------------------------------------------
if command -v shellcheck >/dev/null; then
  report "shellcheck" "$(shellcheck -s bash -e SC1090,SC1091 "${scripts[@]}" 2>&1 | head -n 40)"
else
  skipped "shellcheck" "not installed; tools/bootstrap.sh --with-lint"
fi
report "python compiles" "$(for f in "${python[@]}"; do
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" 2>&1 | tail -n 1
done)"

# --- Build description and clang-tidy ------------------------------------------------------------
commands=build/default/compile_commands.json
if configure=$(cmake --preset default 2>&1); then
  # Of the two rooms of CUDA a machine builds only a part: there the name in the list has to do.
  report "every source is listed in CMake" "$(
    git ls-files '*.cpp' ':!kernels/cuda' ':!tests/cuda' | while read -r f; do
      grep -qF "$PWD/$f\"" "$commands" || echo "$f"
    done
    git ls-files 'kernels/cuda/*.c*' 'tests/cuda/*.c*' | while read -r f; do
      grep -qE "(^|[ /(])$(basename "$f")([ )]|$)" CMakeLists.txt tests/cuda/CMakeLists.txt || echo "$f"
    done)"
else
  report "CMake configures" "$(tail -n 15 <<<"$configure")"
fi

# Changed sources first, then a window over the rest that moves with every commit.
tidy_order() {
  local base all
  all=$(git ls-files "${rooms[@]/%//*.cpp}")
  base=$(git rev-parse -q --verify 'HEAD~10' || git rev-list --max-parents=0 HEAD | tail -n 1)
  git diff --name-only --diff-filter=d "$base" -- '*.cpp' | grep -Fxf <(echo "$all")
  sort --random-source=<(yes "$(git rev-parse HEAD)") -R <<<"$all"
}

tidy_one() {
  [ "$(date +%s)" -lt "$TIDY_DEADLINE" ] || return 0
  local status=0
  clang-tidy --quiet -p build/default --extra-arg=-Wno-unknown-warning-option "$1" 2>/dev/null || status=$?
  # Killed or crashed, it has found nothing and proves nothing.
  [ $status -lt 126 ] || echo "$1: error: clang-tidy ended with exit code $status"
  echo >>"$TIDY_DONE"
}
run_tidy() {
  local budget=${LAMINA_TIDY_SECONDS:-240} files findings
  [ "$tidy" = budget ] || budget=86400
  mapfile -t files < <(tidy_order | awk '!seen[$0]++')
  TIDY_DONE=$(mktemp)
  TIDY_DEADLINE=$(($(date +%s) + budget))
  export TIDY_DONE TIDY_DEADLINE
  export -f tidy_one
  # A header's finding comes once for every source that includes it.
  findings=$(printf '%s\0' "${files[@]}" |
    xargs -0 -P "$(nproc)" -I{} bash -c 'tidy_one "$@"' _ {} |
    grep -E '(warning|error): ' | awk '!seen[$0]++')
  report "clang-tidy, $(wc -l <"$TIDY_DONE") of ${#files[@]} sources" "$findings"
  rm -f "$TIDY_DONE"
}
if [ "$tidy" = no ]; then
  skipped "clang-tidy" "as asked"
elif ! command -v clang-tidy >/dev/null; then
  skipped "clang-tidy" "not installed; tools/bootstrap.sh --with-lint"
elif [ ! -s "$commands" ]; then
  skipped "clang-tidy" "there is no $commands"
else
  run_tidy
fi

if [ $failures -gt 0 ]; then
  echo "lint: $failures checks failed."
  exit 1
fi
echo "lint: all checks passed."
