#!/bin/sh
# Builds the sample program for both platforms: build.sh [DIRECTORY], by default beside this script.
# Debian: clang-19 lld-19. The same source and the same compiler give the same bytes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}

build() {
    # No path, time or build id gets into the output. Text is never writable, the stack never executable.
    clang-19 --target="$1-unknown-linux-gnu" -fuse-ld=lld-19 "$3" \
        -std=c11 -Wall -Wextra -Werror -Oz -ffreestanding -fno-builtin -fno-pic \
        -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-ident \
        -fomit-frame-pointer -nostdlib -static \
        -Wl,--build-id=none -Wl,--strip-all -Wl,-z,noexecstack -Wl,-z,norelro \
        -o "$out/show-$2" "$here/show.c"
}

build x86_64 amd64 -Wl,-z,max-page-size=4096
# There are arm64 kernels with pages of 64 KiB.
build aarch64 arm64 -Wl,-z,max-page-size=65536
