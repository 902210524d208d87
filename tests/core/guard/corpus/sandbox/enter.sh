#!/bin/sh
# First process of a throw-away pid namespace: makes "$1" the only root there is, then goes on inside.
# After it nothing of the machine can be reached but its /usr, read-only.
set -eu
cd "$1"
mount -t proc -o ro,nosuid,nodev,noexec proc proc
mount --bind /usr host/usr
mount -o remount,bind,ro,nosuid,nodev host/usr
pivot_root . host/old
cd /
exec /bin/bash /.rec/inside.sh
