"""The POSIX-sh text that carries a command on its host: the deadline, the kill of everything it started, and the look afterwards.

It runs under dash, bash, busybox and their like, and must change neither output nor exit code of the command: the command
takes the wrapper's own place by `exec`, so code and signal are its own. Comments and indentation stay here;
`core/command.py` sends the rest. Why each part is as it is: docs/decisions/0003-remote-wrapper.md.
"""

from __future__ import annotations

FIND = r"""
# left: sets $v to the pids that belong to the command: of its group or session $g, or with the mark $i in their
# environment (what left the group). The guardian $w and its reader $r are not among them, nor are zombies.
left() {
  v=
  if [ -r /proc/self/stat ]; then
    for f in /proc/[0-9]*/stat; do
      read -r l <$f || continue
      p=${l%% *}
      set -- ${l##*\) }
      [ "$1" != Z ] || continue
      if [ "$3" = $g ] || [ "$4" = $g ]; then add $p; fi
    done
    for f in $(LC_ALL=C grep -lsF "VIGO_RUN=$i" /proc/[0-9]*/environ); do
      f=${f#/proc/}
      add ${f%/environ}
    done
  else
    set -- $(ps -A -o pid= -o pgid=)
    while [ $# -gt 1 ]; do
      if [ $2 = $g ]; then add $1; fi
      shift 2
    done
  fi
}
add() {
  case " $w $r $v " in *" $1 "*) ;; *) v="$v $1" ;; esac
}
"""

GUARDIAN = r"""
# reader: the channel's stdin is the life line. "k" ends the command now; the end of the file means that the command is
# done or the control node is gone, which leaves the command to its deadline unless $d says 1.
reader() {
  while read -r l <&3; do
    if [ "$l" = k ]; then kill -KILL $s; exit; fi
  done
  while [ $d = 0 ] && kill -0 $$; do sleep 1 3<&-; done
  kill -KILL $s
}
# guardian: sleeps until the deadline, or until the reader ends its sleep. It is in the command's group, so neither the
# group's number nor the command's pid can be given to others as long as it lives.
guardian() {
  trap "" HUP INT QUIT TERM PIPE USR1 USR2
  sleep $t 3<&- & s=$!
  reader & r=$!
  wait $s
  if kill -0 $$; then stop; else kill -KILL $r; fi
}
stop() {
  kill -KILL $r
  w= g=0
  if read -r l </proc/self/stat; then
    w=${l%% *}
    set -- ${l##*\) }
    if [ "$3" = $$ ]; then g=$$; fi
  else
    w=$(exec /bin/sh -c "echo \$PPID")
    for p in $(ps -o pgid= -p $$); do if [ $p = $$ ]; then g=$$; fi; done
  fi
  left
  now
  e=$((n + k))
  old=
  while [ "$v" ] && [ $n -lt $e ]; do
    for p in $v; do case " $old " in *" $p "*) ;; *) kill -TERM $p; old="$old $p" ;; esac; done
    nap
    left
    now
  done
  e=$((n + 200))
  while [ "$v" ] && [ $n -lt $e ]; do
    kill -KILL $v
    nap
    left
    now
  done
  if [ $g != 0 ]; then kill -KILL 0; fi
}
# nap: a tenth of a second where sleep knows fractions. Counting naps would stretch the grace on a busy host, hence now.
nap() {
  sleep 0.1 3<&- || sleep 1 3<&-
}
# now: sets $n to a clock in hundredths of a second that nobody sets back, or to the time of day where there is none.
now() {
  if read -r n l </proc/uptime; then n=${n%.*}${n#*.}; else n=$(date +%s)00; fi
}
"""

SECRETS = r"""
# secret: one line of stdin, %ooo-encoded and ended by a dot, becomes the variable $1. Without it nothing runs.
secret() {
  IFS= read -r l || exit 255
  case $l in *.) ;; *) exit 255 ;; esac
  set -f
  IFS=%
  s=$1
  set -- ${l%.}
  IFS="\ "
  l=$(printf %b. "$*")
  unset IFS
  set +f
  export "$s=${l%.}"
}
"""

NICE = r"""
if command -v ionice >/dev/null 2>&1; then
  ionice {io} -p $$ || echo "vigo: ionice failed; the I/O priority is unchanged" >&2
else
  echo "vigo: no ionice here; the I/O priority is unchanged" >&2
fi
if command -v nice >/dev/null 2>&1; then
  set -- nice -n {nice}
else
  echo "vigo: no nice here; the CPU priority is unchanged" >&2
fi
"""

HELLO = r"""
# The greeting tells the command's pid; then nothing happens until the control node says "go". So a command whose login
# shell was slow never starts after the control node has given up on it, or is gone.
echo "vigo:$i:$$" >&2
"""

START = r"""
read -r l && [ "$l" = go ] || exit 255
exec 3<&0
(guardian &) </dev/null >/dev/null 2>&1
export VIGO_RUN=$i
set --
{nice}exec "$@" /bin/sh -c "$c" sh </dev/null 3<&-
"""

LOOK = r"""
exec 2>/dev/null
w= r=
left
echo "vigo-left:$i:$v."
"""
