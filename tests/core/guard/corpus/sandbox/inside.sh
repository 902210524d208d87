# Runs inside the throw-away root as pid 1: starts processes that bear vigo's names, runs the command, says who is left.
/host/usr/bin/umount -l /host/old || exit 97
# The only mounts are this root, its proc and the read-only /usr; anything else means the sandbox is not what it should be.
while read -r _ where _ options _; do
  case $where in
    /) ;;
    /proc | /host/usr) case ",$options," in *,ro,*) ;; *) exit 97 ;; esac ;;
    *) exit 97 ;;
  esac
done < /proc/mounts

declare -A process
start() { # start NAME ARGV0
  (exec -a "$2" "/opt/.victims/$1" 120) 0</dev/null >/dev/null 2>&1 &
  process[$!]=$1
  until [[ $(< "/proc/$!/stat") == *"($1) S "* ]]; do :; done # pidof passes over what is not yet asleep
}
start vigosrv '/usr/local/sbin/vigosrv --config /etc/vigo/vigo.yaml'
for name in vigo vigosrv vigo-envoy; do
  start "$name" "/usr/local/sbin/$name"
  echo "$!" > "/run/$name.pid"
done

cd /root
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
ulimit -f 65536 -c 0
# Root over files and signals in here, and nothing else: no mounting, no devices, no rebooting, no tracing.
/host/usr/bin/setpriv --no-new-privs --inh-caps=-all \
  --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill \
  /host/usr/bin/timeout -k 1 20 /bin/bash -c "$(< /.rec/cmd)" </dev/null >/.rec/out 2>&1
echo "$?" > /.rec/code

alive() { [[ -r /proc/$1/stat && $(< "/proc/$1/stat") != *") Z "* ]]; }
hit() { # is a signal on its way to the process, or has one ended it?
  local key mask
  while read -r key mask; do
    [[ $key == @(SigPnd|ShdPnd): && $mask == *[!0]* ]] && return 0
  done < "/proc/$1/status"
  ! alive "$1"
}
others() { # is anything left that is neither this shell nor one of vigo's?
  local entry pid
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    [[ $pid == 1 || -n ${process[$pid]:-} ]] || ! alive "$pid" 2>/dev/null || return 0
  done
  return 1
}
for ((turn = 0; turn < 100; turn++)); do
  others || break
  /host/usr/bin/sleep 0.02
done
/host/usr/bin/sleep 0.02
for pid in "${!process[@]}"; do
  ! hit "$pid" || echo "${process[$pid]}"
done > /.rec/dead
