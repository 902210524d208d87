#!/bin/sh
# Stands in for every command that acts on more than files: writes down where it was called and its words, and says yes.
name=${0##*/}
case $0 in */init.d/*) name=init.d/$name ;; esac
{ printf '%s\037' "$PWD" "$name" "$@"; printf '\036'; } >> /.rec/log
case "$name $*" in
  systemctl*MainPID*vigosrv*) cat /run/vigosrv.pid ;;
  systemctl*MainPID*) cat /run/vigo.pid ;;
  systemctl*is-active*nginx*) exit 3 ;;
esac
exit 0
