#!/bin/sh
# Installs what the tests need beside Python, and the packages that it is given: root on Debian only; elsewhere it says in
# one line what will be skipped.
set -eu

packages='openssh-server sudo opendoas dash busybox fish tcsh zsh ksh ruby strace'
packages="$packages $*"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "!!! NOT ROOT ON DEBIAN: tests against real sshd are SKIPPED; they need:$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
