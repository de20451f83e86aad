#!/usr/bin/env bash
# Sourced by the scripts: which compiler to use where the system's g++ is too old, as on Ubuntu 22.04.
# SPDX-License-Identifier: Apache-2.0

oldest_gxx=12

# at_least VERSION MINIMUM
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Sets CXX and CC unless CXX is set or the plain g++ will do. Fails when there is no such compiler.
choose_compiler() {
  local name
  [ -z "${CXX:-}" ] || return 0
  for name in g++ g++-14 g++-13 g++-12; do
    if at_least "$("$name" -dumpversion 2>/dev/null || echo 0)" "$oldest_gxx"; then
      [ "$name" = g++ ] || export CXX=$name CC=${name/g++/gcc}
      return 0
    fi
  done
  return 1
}
