"""The POSIX-sh text that carries a command on its host: the deadline, the kill of everything it started, and the look afterwards.

It runs under dash, bash, busybox and their like, and must change neither output nor exit code of the command. Comments and
indentation stay here; `core/command.py` joins the rest into one line, because login shells differ on newlines in quotes. Why each part is as it is:
docs/decisions/0003-remote-wrapper.md.

The wrapper $$ waits for the command; the guardian $r is its child in the same group, listens to the life line and knows
the deadline. $i is the mark, $b the beginning and $e the deadline in hundredths of a second, $f the folder of the record.
"""

from __future__ import annotations

INPUT = r"""
# The command's input, {bytes} bytes, comes first and goes into a file that has no name any more when the command begins.
# So the life line stays what it is, and a command never takes half of its input for the whole of it.
f=${TMPDIR:-/tmp}/vigo.$i
mkdir -m 700 "$f" || exit 255
echo "vigo:$i:in" >&2
head -c {bytes} >"$f/in"
n=$(wc -c <"$f/in")
exec 4<"$f/in"
rm -r "$f"
[ $n -eq {bytes} ] || exit 255
"""

HELLO = r"""
# The greeting tells the group's number; then nothing happens until the control node says "go". So a command whose login
# shell was slow never starts after the control node has given up on it, or is gone.
echo "vigo:$i:$$" >&2
IFS= read -r l && [ "$l" = go ] || exit 255
# A newline, without writing one: the third character of IFS.
q=${IFS#??}
q=${q%"${q#?}"}
# text: $1 lines of stdin become $l. Without all of them nothing runs.
text() {
  IFS= read -r l || exit 255
  m=$1
  while [ $m -gt 1 ]; do
    IFS= read -r o || exit 255
    l=$l$q$o
    m=$((m - 1))
  done
}
"""

CLOCK = r"""
# now: sets $n to a clock in hundredths of a second that nobody sets back, or to the time of day where there is none.
now() {
  if read -r n idle </proc/uptime; then n=${n%.*}${n#*.}; else n=$(date +%s)00; fi
}
"""

GUARDIAN = r"""
# guard: listens to the life line until the deadline: "k" ends the command now, "a" says that its result has arrived.
# The end of the file means that the wrapper is done or the control node is gone. bash, ksh and zsh can read with a time
# limit; in the others the end of a sleep interrupts the read.
guard() {
  exec >/dev/null 5>&-
  e=$((b + t * 100))
  trap "z=1" CHLD
  while now; [ $n -lt $e ]; do
    m=$(((e - n + 99) / 100))
    z= l=
    if [ "$BASH_VERSION$KSH_VERSION$ZSH_VERSION" ]; then
      read -r -t $m l <&3
      o=$?
      now
      [ $n -lt $e ] || z=1
    else
      sleep $m 3<&- & s=$!
      read -r l <&3
      o=$?
      kill -KILL $s
    fi
    [ $o = 0 ] || l=
    case $o:$z:$l in
      0:*:k) break ;;
      0:*:a) if [ -d "$f" ]; then finish; fi ;;
      0:*|*:1:) ;;
      *) lonely; break ;;
    esac
  done
  if [ -d "$f" ]; then finish; fi
  kill -PROF $$
  eval "$x"
  finish
}
# lonely: nobody listens any more. The command is left to its deadline unless $d says 1; the wrapper is told to keep
# what it ends with.
lonely() {
  exec 3<&-
  alive || finish
  if [ $d = 1 ] && [ ! -d "$f" ]; then return; fi
  kill -VTALRM $$
  while now; [ $n -lt $e ]; do
    sleep 1
    alive || finish
  done
}
alive() {
  kill -0 $$ || return 1
  read -r l </proc/$$/stat || return 0
  case ${l##*\) } in Z*) return 1 ;; esac
}
finish() {
  if [ -d "$f" ]; then rm -r "$f"; fi
  exit 0
}
"""

NICE = r"""
if command -v ionice >/dev/null 2>&1; then
  ionice {io} -p $$ 2>&5 || echo "vigo: ionice failed; the I/O priority is unchanged" >&5
else
  echo "vigo: no ionice here; the I/O priority is unchanged" >&5
fi
if command -v nice >/dev/null 2>&1; then
  set -- nice -n {nice}
else
  echo "vigo: no nice here; the CPU priority is unchanged" >&5
fi
"""

START = r"""
x=$1
set --
exec 3<&0 {stdin} 5>&2 2>/dev/null
now
b=$n y= f=${TMPDIR:-/tmp}/vigo.$i
# What the command sends to its group must end neither the guardian, who ignores it, nor the wrapper, who may not: what
# is ignored here would be ignored by the command.
trap "" HUP INT QUIT TERM PIPE ALRM USR1 USR2 VTALRM PROF
guard & r=$!
trap : HUP INT QUIT TERM PIPE ALRM USR1 USR2
trap "y=lost" VTALRM
trap "y=stopped" PROF
{nice}export VIGO_RUN=$i
# A here-document is a pipe, or a file without a name: 2 writes to it, 6 reads from it. There a shell says by what
# signal a command was ended, which the exit code alone does not tell. Quoted, because some shells fork for the other kind.
eval "exec 6<<\"E\"${q}v${q}E$q"
if [ -w /proc/self/fd/6 ]; then exec 2>/proc/self/fd/6; fi
# bash names the signal only in its list of jobs, and the others only for a command that they wait for at once.
if [ "$BASH_VERSION" ]; then
  set -m
  trap "jobs >&2" CHLD
  (exec "$@" /bin/sh -c "$c" sh 2>&5 3<&- 5>&- 6<&-) & p=$!
  while wait $p; a=$?; kill -0 $p; do :; done
  trap - CHLD
  jobs >&2
  wait $p
  o=$?
  if [ $o != 127 ] || [ $a = 145 ]; then a=$o; fi
else
  (exec "$@" /bin/sh -c "$c" sh 2>&5 3<&- 5>&- 6<&-)
  a=$?
fi
s=
# ksh counts signals from 256.
if [ $a -gt 256 ]; then a=$((a - 128)) s=1; fi
exec 2>/dev/null
if [ $a -gt 128 ]; then
  while read -r l <&6; do
    case $l in v|*:*|*Running*|*Done*|*Exit*) ;; *) s=1 ;; esac
  done
fi
if [ "$s" ]; then s=$((a - 128)); fi
now
# A command of a second or more asks whether its result has arrived, and keeps it until then, or until the deadline.
if [ "$y" = lost ] || [ "$y" != stopped -a $((n - b)) -ge 100 ]; then
  if mkdir -m 700 "$f"; then
    if [ "$s" ]; then echo "signal $s" >"$f/end"; else echo "exit $a" >"$f/end"; fi
    [ "$y" ] || echo "vigo:$i:end" >&5
    exec >/dev/null 5>&1
    while kill -0 $r; do wait $r; done
    if [ -d "$f" ]; then rm -r "$f"; fi
  fi
fi
if [ "$s" ]; then
  ulimit -c 0
  if [ $s -lt 9 ] || [ $s -gt 9 ]; then trap - $s; fi
  kill -$s $$
fi
exit $a
"""

FIND = r"""
# left: sets $v to the pids that belong to the command: of its group or session $g, with the mark $i in their environment,
# found before ($h: pid and time of birth), not ours and of its audit session $u, or descendants of one of these or of the
# wrapper $o. The wrapper, the guardian $w and what that has started are not among them, nor are zombies.
left() {
  v= a=
  if [ -r /proc/self/stat ]; then
    j=
    for p in $(LC_ALL=C grep -lsF "VIGO_RUN=$i" /proc/[0-9]*/environ); do
      p=${p#/proc/}
      j="$j ${p%/environ} "
    done
    for p in /proc/[0-9]*/stat; do
      if read -r l <$p; then one "${l%% *}" ${l##*\) }; fi
    done
    descend
    for p in $a; do
      case " $v " in *" ${p%%:*} "*) keep ${p%%:*} ;; esac
    done
  else
    set -- $(ps -A -o pid= -o ppid= -o pgid=)
    while [ $# -gt 2 ]; do
      if [ $2 != "$w" ]; then
        a="$a $1:$2"
        if [ $3 = $g ]; then add $1; fi
      fi
      shift 3
    done
    descend
  fi
}
descend() {
  m=
  while [ "$m" != "$v" ]; do
    m=$v
    for p in $a; do
      case " $v $o " in *" ${p#*:} "*) add ${p%%:*} ;; esac
    done
  done
}
one() {
  case "$2 $w $o " in "Z "*|*" $1 "*) return ;; esac
  case " $w " in *" $3 "*) return ;; esac
  a="$a $1:$3"
  if [ "$4" = $g ] || [ "$5" = $g ]; then add $1; return; fi
  case "$h $j" in *" $1.${21} "*|*" $1 "*) add $1; return ;; esac
  if [ "$u" ] && [ $3 = 1 ]; then
    if [ -r /proc/$1/environ ]; then return; fi
    l=
    read -r l </proc/$1/sessionid
    if [ "$l" = "$u" ] && read -r l </proc/$1/comm; then
      case $l in sshd*) ;; *) sudo=1; add $1 ;; esac
    fi
  fi
}
add() {
  case " $w $o $v " in *" $1 "*) ;; *) v="$v $1" ;; esac
}
keep() {
  if read -r l </proc/$1/stat; then
    case $l in *"(sudo)"*) sudo=1 ;; esac
    set -- $1 ${l##*\) }
    case $h in *" $1.${21} "*) ;; *) h="$h $1.${21} " ;; esac
  fi
}
"""

STOP = r"""
w= h= u= g=x sudo= o=$$
if read -r l </proc/self/stat; then
  w=${l%% *}
  set -- ${l##*\) }
  if [ "$3" = $$ ]; then g=$$; fi
  read -r u </proc/$$/sessionid
  if [ "$u" = 4294967295 ]; then u=; fi
else
  w=$(exec /bin/sh -c "echo \$PPID")
  for p in $(ps -o pgid= -p $$); do if [ $p = $$ ]; then g=$$; fi; done
fi
# nap: a tenth of a second where sleep knows fractions. Counting naps would stretch the grace on a busy host, hence now.
nap() {
  sleep 0.1 || sleep 1
}
# send: sends $1 to the pids that follow. What is root's by sudo is asked of sudo, which never prompts here; six times at
# most, because sudo writes each into the log of the host.
tries=0
send() {
  z=$1 m=
  shift
  for p in $*; do kill -$z $p || m="$m $p"; done
  if [ "$m" ] && [ "$sudo" ] && [ $tries -lt 6 ]; then
    tries=$((tries + 1))
    sudo -n kill -$z $m </dev/null
  fi
}
left
now
e=$((n + k)) old=
while [ "$v" ] && [ $n -lt $e ]; do
  new=
  for p in $v; do case " $old " in *" $p "*) ;; *) new="$new $p" ;; esac; done
  if [ "$new" ]; then send TERM $new; fi
  old="$old$new"
  nap
  left
  now
done
e=$((n + 200))
while [ "$v" ] && [ $n -lt $e ]; do
  send KILL $v
  nap
  left
  now
done
# What cannot be killed is written down for those who look, and stays so for as long as it lives, an hour at most.
if [ "$v" ]; then
  exec 3<&-
  if mkdir -m 700 "$f"; then echo "$h" >"$f/left"; fi
  kill -KILL $$
  n=0
  while [ "$v" ] && [ $n -lt 720 ]; do
    sleep 5
    left
    n=$((n + 1))
  done
fi
"""

LOOK = r"""
exec 2>/dev/null
w= o= h= u= r= e= c= sudo= f=${TMPDIR:-/tmp}/vigo.$i
# Those who gave the wrapper its rights carry its text as well. They are its parents, and not of the command either.
for p in $(LC_ALL=C grep -lsF "i=$i d=" /proc/[0-9]*/cmdline); do
  if read -r l <${p%/cmdline}/stat; then
    case $l in *"(sudo)"*|*"(doas)"*) o="$o ${l%% *}" ;; *) c="$c $p" ;; esac
  fi
done
s=$o
for p in $c; do
  if read -r l <${p%/cmdline}/stat; then
    set -- "${l%% *}" ${l##*\) }
    g=$4
    case "$5 $s " in "$1 "*|*" $3 "*) o="$o $1"; [ $2 = Z ] || r=running ;; *) w="$w $1" ;; esac
  fi
done
if [ -O "$f" ] && [ -d "$f" ]; then
  if [ -f "$f/left" ]; then read -r h <"$f/left"; h=" $h "; w="$w "; fi
  if [ -f "$f/end" ]; then read -r e <"$f/end"; fi
  case $e in signal*) e="signal $(kill -l ${e#signal })" ;; esac
fi
if [ -w "${f%/*}" ]; then :; else e=none; fi
# A guardian without a wrapper is still killing, until it has written down what it cannot kill.
case $r$w in *[0-9]) r=${r:-ending} ;; esac
left
if [ -r /proc/self/stat ]; then [ -r /proc/1/stat ] || v="$v 0"; elif [ "$y" ]; then v="$v 0"; fi
echo "vigo-left:$i:$r:$e:$v."
"""
