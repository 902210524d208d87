#!/bin/sh
# The reference page's examples, played on the built-in lab. Everything it makes lies in one folder that it removes.
set -eu

home=$(mktemp -d "${TMPDIR:-/tmp}/vigo-demo.XXXXXX")
chmod 755 "$home"
export VIGO_DATA_DIR="$home/data" VIGO_STATE_DIR="$home/state" VIGO_CACHE_DIR="$home/cache" VIGO_CONFIG_DIR="$home/config"
export VIGO_LAB_DIR="$home/lab" VIGO_INVENTORY=lab

cleanup() {
    vigo lab down >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

show() {
    printf '\n$'
    for word in "$@"; do
        case $word in uptime | *[!a-zA-Z0-9_./:=%-]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$@" 2>&1
}

echo "A lab of five real SSH servers on loopback:"
show vigo lab up
health=$(vigo lab status -o json | sed -n 's/.*"health_url": "\([^"]*\)".*/\1/p')

echo
echo "Run an ad-hoc command"
show vigo task run "uptime" --target "*.web.*"

echo
echo "Run a named task with parameters"
show vigo task run restart-app --target "*.web.*" --param env=staging

echo
echo "Look before you leap: the batch plan of a dry run"
show vigo task run "uptime" --target "*.web.*" --batch-size 2 --dry-run

echo
echo "Rolling execution: a quarter at a time, a health check after each batch, stop at the third failure"
show vigo task run "systemctl restart nginx" --target "*.web.*" \
    --batch-size 25% --max-failures 2 --health-check-url "$health"

echo
echo "What happened, from the journal"
show vigo task status
show vigo task list --limit 5
show vigo audit verify

echo
echo "Try next (the demo's own lab is gone; this starts one that stays until you end it):"
echo "  .venv/bin/vigo lab up"
echo "  .venv/bin/vigo task run \"hostname; uptime\" --target \"all and not role=db\" --inventory lab"
echo "  .venv/bin/vigo lab down"
