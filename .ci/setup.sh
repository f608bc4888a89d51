#!/bin/sh
# Installs what a build and the tests need and the machine lacks: a C compiler and CMake for the bundled HDF5 library,
# and a software Vulkan driver, on which the shader tests run where there is no GPU. Does nothing when all is there.
set -eu

missing=""
command -v cargo >/dev/null 2>&1 || {
    echo "celldag needs Rust 1.95 or newer, and cargo is not on the PATH: install it from https://rustup.rs, then try again." >&2
    exit 1
}
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
command -v cmake >/dev/null 2>&1 || missing="$missing cmake"

# The Vulkan loader and at least one driver (any vendor's; Mesa's software driver if there is none).
if [ "$(uname -s)" = Linux ]; then
    ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || missing="$missing libvulkan1"
    found=no
    for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d; do
        if ls "$folder"/*.json >/dev/null 2>&1; then found=yes; fi
    done
    [ "$found" = yes ] || missing="$missing mesa-vulkan-drivers"
fi

# Continuous integration also runs the example in R.
if [ -n "${CI:-}" ] && ! command -v Rscript >/dev/null 2>&1; then missing="$missing r-base-core"; fi

[ -n "$missing" ] || exit 0

# Without a compiler nothing is built, and without R the tests fail that continuous integration runs.
give_up() {
    case "$missing" in *gcc*|*g++*|*cmake*|*r-base-core*) exit 1 ;; *) exit 0 ;; esac
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install (Debian names):$missing" >&2
    echo "The Vulkan packages are only needed for a GPU and for the shader tests." >&2
    give_up
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "Please install, as root:  apt-get install -y --no-install-recommends$missing" >&2
    give_up
fi
echo "installing:$missing"
$run env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
