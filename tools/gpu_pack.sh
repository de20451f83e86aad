#!/usr/bin/env bash
# Collects what a build of Lamina needs from this Debian or Ubuntu, for a machine that has a CUDA
# toolkit, a compiler, CMake and Python, but no packages and no network: tools/gpu_validate.sh --deps
# SPDX-License-Identifier: Apache-2.0
# Usage: tools/gpu_pack.sh PACK      (a folder that is made, 24 MB)
#   PACK/system.tar.xz   usr/: headers, CMake files, libraries; cudnn-frontend/: headers
#   PACK/data/mnist      the images, where this machine has them
#   PACK/commit          of the tree, for results.json: the copy that travels may lack .git
# The other machine's C library must be this one's or newer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pack=${1:?usage: tools/gpu_pack.sh PACK}
tools/bootstrap.sh --check

packages=(libdnnl-dev ocl-icd-opencl-dev opencl-c-headers libfmt-dev nlohmann-json3-dev libcli11-dev
  zlib1g-dev libpng-dev libjpeg-dev libzip-dev libarchive-dev libcurl4-openssl-dev libssl-dev libgtest-dev)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
architecture=$(gcc -print-multiarch)
libraries=$stage/usr/lib/$architecture
mkdir -p "$pack" "$libraries"

# Headers, CMake files and names of libraries; static libraries only where there is nothing else.
for package in "${packages[@]}"; do
  dpkg -L "$package" 2>/dev/null || echo "gpu_pack: no package $package here" >&2
done | grep -E '^/usr/(include/|lib/.*(/cmake/|\.so$|/lib(gtest|gmock)(_main)?\.a$)|share/cmake/)' |
  while read -r file; do
    if [ -f "$file" ] || [ -L "$file" ]; then echo "${file#/}"; fi
  done | tar -C / -cf - -T - | tar -C "$stage" -xf -
# The other compiler may not look into the folder that Debian keeps some headers in.
cp -r "$stage/usr/include/$architecture/." "$stage/usr/include/"

# The libraries behind the names and theirs in turn, under both of their names, but for what comes
# with the C library and g++.
for library in "$libraries"/*.so; do
  real=$(readlink -f "/usr/lib/$architecture/${library##*/}")
  name=$(objdump -p "$real" | awk '$1 == "SONAME" { print $2 }')
  ln -sf "$name" "$library"
  echo "$name => $real"
  ldd "$real" | awk '$2 == "=>" { print $1, $2, $3 }'
done | sort -u | grep -vE '^(lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+|gomp)|ld-linux.*)\.so' |
  while read -r name _ file; do
    real=$(readlink -f "$file")
    cp "$real" "$libraries/"
    [ "${real##*/}" = "$name" ] || ln -sf "${real##*/}" "$libraries/$name"
  done

frontend=${XDG_CACHE_HOME:-$HOME/.cache}/lamina/cudnn-frontend
if [ -d "$frontend/include" ]; then
  mkdir "$stage/cudnn-frontend"
  cp -r "$frontend/include" "$stage/cudnn-frontend/"
else
  echo "gpu_pack: $frontend has no headers of cudnn-frontend; the other machine needs its own." >&2
fi
tar -C "$stage" -cJf "$pack/system.tar.xz" .

for folder in ${LAMINA_DATA:+"$LAMINA_DATA"} data ../data ../shared/data "${XDG_CACHE_HOME:-$HOME/.cache}/lamina"; do
  if ls "$folder"/mnist/train-images-idx3-ubyte* >/dev/null 2>&1; then
    mkdir -p "$pack/data/mnist"
    cp -f "$folder"/mnist/*-ubyte* "$pack/data/mnist/"
    break
  fi
done
[ -d "$pack/data" ] || echo "gpu_pack: no MNIST here; the nets will be trained on drawn digits." >&2
git rev-parse HEAD >"$pack/commit"
du -sh "$pack"
