#!/usr/bin/env bash
# Installs what a build of Lamina needs and this machine lacks, with apt. Does nothing, and asks for
# no rights, when all of it is there. CMake fetches the libraries that the system does not offer.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tools/compiler.sh
source "$here/compiler.sh"

usage() {
  cat <<'TEXT'
usage: tools/bootstrap.sh [--with-peer] [--with-lint] [--with-fashion] [--check]
  --with-peer     PyTorch, NumPy and a threaded BLAS, to compare Lamina with
  --with-lint     clang-format, clang-tidy and shellcheck, for tools/lint.sh
  --with-fashion  the Fashion-MNIST images, a package of Debian's
  --check         install nothing; exit 1 when something is missing
TEXT
}

peer=no lint=no fashion=no check=no
for argument in "$@"; do
  case "$argument" in
    --with-peer) peer=yes ;;
    --with-lint) lint=yes ;;
    --with-fashion) fashion=yes ;;
    --check) check=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && echo "bootstrap: unknown option $argument" >&2 && exit 2 ;;
  esac
done

missing=() reasons=() fetchable=()

# want PACKAGE[|ALTERNATIVE] REASON [fetch]: notes a package that is not installed. With `fetch` the
# build downloads the library by itself where the system offers no package.
want() {
  local names package
  IFS='|' read -ra names <<<"$1"
  for package in "${names[@]}"; do
    if dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$'; then
      return
    fi
  done
  missing+=("${names[0]}")
  reasons+=("$2")
  fetchable+=("${3:-no}")
}

# want_command COMMAND PACKAGE REASON: any installation of the command will do.
want_command() {
  command -v "$1" >/dev/null 2>&1 || want "$2" "$3"
}

check_toolchain() {
  local version
  if ! choose_compiler; then
    echo "bootstrap: no g++ $oldest_gxx or newer. Install one, or name another C++20 compiler:" \
      "CXX=clang++ CC=clang tools/bootstrap.sh" >&2
    return 1
  fi
  version=$(cmake --version 2>/dev/null | sed -n 's/^cmake version \([0-9.]*\).*/\1/p')
  if ! at_least "${version:-0}" 3.22; then
    echo "bootstrap: cmake is ${version:-missing} and the build wants 3.22 or newer. Install a" \
      "newer one: python3 -m pip install cmake, or the binaries of cmake.org." >&2
    return 1
  fi
}

if ! command -v apt-get >/dev/null 2>&1; then
  echo "bootstrap: this system has no apt. Install g++ 12+, cmake 3.22+, ninja, git and the" \
    "development files of libcurl, OpenSSL and libjpeg; CMake fetches every other library." >&2
  check_toolchain
  exit
fi

if ! choose_compiler; then
  missing+=(g++)
  reasons+=("compiles C++20")
  fetchable+=(no)
fi
want_command cmake cmake "configures the build"
want_command ninja ninja-build "runs the build"
want_command git git "fetches a library the system lacks"
want ca-certificates "checks the servers that data sets come from"
want libdnnl-dev "oneDNN, the CPU kernels' engine" fetch
want ocl-icd-opencl-dev "the CMake package of Debian's oneDNN asks for it" fetch
want libfmt-dev "text formatting" fetch
want nlohmann-json3-dev "JSON" fetch
want libcli11-dev "the command line" fetch
want zlib1g-dev "reads .gz files" fetch
want libpng-dev "reads and writes images" fetch
want libjpeg-dev "reads photographs"
want libzip-dev "reads PyTorch's weights" fetch
want libarchive-dev "unpacks data sets" fetch
want 'libcurl4-openssl-dev|libcurl4-gnutls-dev' "downloads data sets"
want libssl-dev "SHA-256 of what was downloaded"
want libgtest-dev "the tests" fetch
if command -v nvcc >/dev/null 2>&1 && ! python3 -m pip --version >/dev/null 2>&1; then
  want python3-pip "fetches the headers of cudnn-frontend for the CUDA backend"
fi
if [ "$peer" = yes ]; then
  want python3-torch "PyTorch, to compare with"
  want python3-torchvision "its networks, to compare with"
  want python3-numpy "reads and writes the compared tensors"
  want libopenblas0-openmp "PyTorch at its best: a threaded BLAS"
fi
if [ "$lint" = yes ]; then
  want_command clang-format clang-format "checks the layout of the code"
  want_command clang-tidy clang-tidy "looks for bugs in the code"
  want_command shellcheck shellcheck "looks for bugs in the scripts"
fi
if [ "$fashion" = yes ]; then
  want dataset-fashion-mnist "images to train on"
fi

if [ ${#missing[@]} -eq 0 ]; then
  check_toolchain
  if [ "$check" = yes ]; then "$here/cudnn_frontend.sh" --check; else "$here/cudnn_frontend.sh"; fi
  echo "bootstrap: all packages are installed."
  exit
fi

echo "bootstrap: these packages are missing:"
for i in "${!missing[@]}"; do
  printf '  %-24s %s\n' "${missing[$i]}" "${reasons[$i]}"
done
[ "$check" = no ] || exit 1

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "bootstrap: neither root nor sudo. Ask an administrator for:" \
      "apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
  # Without a terminal nobody could type a password.
  [ -t 0 ] || as_root=(sudo -n)
  echo "bootstrap: installing them with sudo apt-get."
fi
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"
}

# One source that does not answer must not keep the others from serving.
apt_get update </dev/null || echo "bootstrap: apt-get update failed; trying with the lists as they are." >&2

# candidate PACKAGE: the version apt would install; empty when it knows none.
candidate() {
  apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -vx '(none)' || true
}

install=()
for i in "${!missing[@]}"; do
  package=${missing[$i]}
  version=$(candidate "$package")
  # Ubuntu 22.04 has g++ 11 under that name, and g++-12 beside it.
  if [ "$package" = g++ ] && ! at_least "${version#*:}" "$oldest_gxx"; then
    package=g++-$oldest_gxx
    version=$(candidate "$package")
  fi
  if [ -n "$version" ]; then
    install+=("$package")
  elif [ "${fetchable[$i]}" = fetch ]; then
    echo "bootstrap: this system offers no $package; CMake will fetch the library."
  else
    echo "bootstrap: this system offers no package $package (${reasons[$i]}). On Ubuntu" \
      "enable the universe repository: add-apt-repository universe" >&2
    exit 1
  fi
done
if [ ${#install[@]} -gt 0 ]; then
  if ! apt_get install --yes --no-install-recommends "${install[@]}" </dev/null; then
    echo "bootstrap: apt-get could not install ${install[*]}; its message is above." >&2
    exit 1
  fi
fi
check_toolchain
"$here/cudnn_frontend.sh"
echo "bootstrap: done."
