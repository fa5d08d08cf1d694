#!/bin/sh
# Fetches Debian's kernel for riscv64, unmodified, into build/linux/. apt gets a state of its own there: nothing of this machine's is read or
# changed but the archive's keys. Needs apt, dpkg-deb and a network; of the 100 MB that come the kernel itself stays.
set -eu
cd "$(dirname "$0")/.."
suite=${SUITE:-trixie}
mirror=${MIRROR:-http://deb.debian.org/debian}
state=$PWD/build/linux/apt
mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/etc"
: > "$state/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [arch=riscv64 signed-by=$keys] $mirror $suite main" > "$state/etc/sources.list"

private_apt() {
  apt-get -q -o APT::Architecture=riscv64 -o APT::Architectures=riscv64 -o Dir::State="$state" \
    -o Dir::State::status="$state/status" -o Dir::State::lists="$state/lists" -o Dir::Cache="$state" \
    -o Dir::Cache::archives="$state/archives" -o Dir::Etc::SourceList="$state/etc/sources.list" \
    -o Dir::Etc::SourceParts=- -o Dir::Etc::Parts=- -o APT::Get::AllowUnauthenticated=false "$@"
}

cd build/linux
private_apt update
# The meta package knows which kernel is the suite's.
package=$(apt-cache -o APT::Architecture=riscv64 -o APT::Architectures=riscv64 -o Dir::State="$state" \
  -o Dir::State::status="$state/status" -o Dir::State::lists="$state/lists" -o Dir::Cache="$state" \
  -o Dir::Etc::SourceList="$state/etc/sources.list" -o Dir::Etc::SourceParts=- depends linux-image-riscv64 |
  sed -n 's/^ *Depends: \(linux-image-[0-9].*-riscv64\)$/\1/p' | head -n 1)
private_apt download "$package"
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards --strip-components 2 './boot/vmlinu*'
rm -f "$package"_*.deb
ls vmlinu*
