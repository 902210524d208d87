"""The one script that asks a host for its traits: POSIX sh, for dash, bash, busybox and their like; it only reads.

It says raw facts, one `key=value` a line between `host-traits 1` and `end`; `%` and newline travel as `%25` and `%0A`. What
the facts mean is decided in `core/facts.py`: a host says what it sees and decides nothing. Comments and indentation stay
here, but for the first line, which names the script wherever its text is shown.
"""

from __future__ import annotations

from typing import Final

HEADER: Final = "host-traits 1"
"""The first line of an answer; a change of the format raises its number."""
FOOTER: Final = "end"
"""The last line of an answer: nothing is missing."""
TITLE: Final = "# vigo traits gather"
SITE_OUTPUT_MAX: Final = 4_096
"""Characters that a site's script may print."""

_PUT: Final = r"""
export LC_ALL=C PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/pkg/bin:/opt/homebrew/bin"
n='
'
put() {
  v=$2
  case $v in '') return ;; *%*|*"$n"*) code ;; esac
  printf '%s=%s\n' "$1" "$v"
}
# code: sets $v to itself with its % and newlines encoded.
code() {
  r=$v v=
  while :; do
    case $r in *%*|*"$n"*) ;; *) break ;; esac
    h=${r%%["%$n"]*}
    r=${r#"$h"}
    case $r in %*) v=$v$h%25 ;; *) v=$v$h%0A ;; esac
    r=${r#?}
  done
  v=$v$r
}
has() { command -v "$1" >/dev/null; }
"""

_OS: Final = r"""
put system "$(uname -s)"
put kernel "$(uname -r)"
put arch "$(uname -m)"
f=/etc/os-release
[ -r $f ] || f=/usr/lib/os-release
if [ -r $f ]; then
  while IFS= read -r l || [ "$l" ]; do
    case $l in
      ID=*) put release.id "${l#*=}" ;;
      ID_LIKE=*) put release.like "${l#*=}" ;;
      VERSION_ID=*) put release.version "${l#*=}" ;;
      VERSION_CODENAME=*) put release.codename "${l#*=}" ;;
    esac
  done <$f
elif [ -r /etc/redhat-release ]; then
  IFS= read -r l </etc/redhat-release
  put release.line "$l"
fi
if has sw_vers; then put macos.version "$(sw_vers -productVersion)"; fi
"""

_HARDWARE: Final = r"""
cpus() {
  case $1 in ''|*[!0-9]*) return 1 ;; esac
  put cpus "$1"
}
cpus "$(getconf _NPROCESSORS_ONLN)" || cpus "$(getconf NPROCESSORS_ONLN)" || cpus "$(sysctl -n hw.ncpu)" ||
  cpus "$(nproc)" || cpus "$(grep -c '^processor' /proc/cpuinfo)"
if [ -r /proc/meminfo ]; then
  while read -r k v l; do
    case $k in MemTotal:) put memory.kb "$v"; break ;; esac
  done </proc/meminfo
else
  put memory.bytes "$(sysctl -n hw.memsize || sysctl -n hw.physmem64 || sysctl -n hw.physmem)"
fi
if [ -r /proc/uptime ]; then
  read -r k l </proc/uptime
  put uptime.s "$k"
else
  put uptime.etime "$(ps -o etime= -p 1)"
fi
"""

_NETWORK: Final = r"""
h=$(hostname) || h=$(uname -n)
put hostname "$h"
a=
if has ip; then a=$(ip addr); elif has ifconfig; then a=$(ifconfig -a); fi
if [ "$a" ]; then
  printf '%s\n' "$a" | while read -r k v l; do
    case $k in
      inet|inet6)
        case $v in addr:) put ip "${l%% *}" ;; *) put ip "${v#addr:}" ;; esac ;;
      link/ether|ether|lladdr|address:) put mac "$v" ;;
    esac
    case $l in *HWaddr\ *) l=${l##*HWaddr }; put mac "${l%% *}" ;; esac
  done
else
  for v in $(hostname -I); do put ip "$v"; done
  for f in /sys/class/net/*/address; do
    if IFS= read -r v <"$f"; then put mac "$v"; fi
  done
fi
"""

_SYSTEM: Final = r"""
if [ -r /proc/1/comm ]; then
  IFS= read -r v </proc/1/comm
  put init.pid1 "$v"
else
  put init.pid1 "$(ps -o comm= -p 1)"
fi
for v in systemd/system openrc runit s6; do
  if [ -d "/run/$v" ]; then put init.run "${v%/*}"; fi
done
case $(ls -l /sbin/init) in *busybox*) put init.link busybox ;; esac
if [ -r /etc/inittab ]; then put init.inittab yes; fi
for v in apt-get dnf yum zypper apk pacman xbps-install emerge opkg pkgin pkg pkg_add brew port nix-env; do
  if has $v; then put manager "$v"; fi
done
"""

_VIRTUALIZATION: Final = r"""
if has systemd-detect-virt; then put virt.detected "$(systemd-detect-virt)"; fi
if [ -e /.dockerenv ]; then put virt.container docker; fi
if [ -e /run/.containerenv ]; then put virt.container podman; fi
if [ -r /proc/1/cgroup ]; then
  while IFS= read -r l; do
    case $l in
      *docker*) put virt.container docker ;;
      *kubepods*|*containerd*) put virt.container container ;;
      *lxc*) put virt.container lxc ;;
      *) continue ;;
    esac
    break
  done </proc/1/cgroup
fi
if [ -d /proc/vz ] && [ ! -d /proc/bc ]; then put virt.container openvz; fi
for f in /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name; do
  if [ -r $f ]; then IFS= read -r v <$f; put virt.dmi "$v"; fi
done
if [ -r /sys/hypervisor/type ]; then IFS= read -r v </sys/hypervisor/type; put virt.hypervisor "$v"; fi
if [ -r /proc/cpuinfo ]; then
  while IFS= read -r l; do
    case $l in flags*\ hypervisor*) put virt.flag yes; break ;; flags*) break ;; esac
  done </proc/cpuinfo
else
  put virt.guest "$(sysctl -n kern.vm_guest || sysctl -n kern.hv_vmm_present)"
fi
put fqdn "$(hostname -f)"
"""

_SITE: Final = r"""
if o=$(/bin/sh -c {text} {name} </dev/null); then
  if [ ${{#o}} -gt {max} ]; then put failed.{name} size; else put site.{name} "$o"; fi
else
  put failed.{name} $?
fi
"""


def compose(sites: list[tuple[str, str]]) -> str:
    """Return the whole command; `sites` are names (`[a-z0-9_-]`) and texts, each of which gets a shell of its own."""
    own = _PUT + _OS + _HARDWARE + _NETWORK + _SYSTEM + _VIRTUALIZATION
    added = [_shrunk(_SITE).format(text=_quoted(text), name=name, max=SITE_OUTPUT_MAX) for name, text in sites]
    return f"{TITLE}\n{{\necho '{HEADER}'\n{_shrunk(own)}}} 2>/dev/null\n{''.join(added)}echo {FOOTER}\n"


def _shrunk(script: str) -> str:
    """Drop comments, indentation and empty lines: each byte travels to each host and is on record."""
    lines = (line.strip() for line in script.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
