#!/usr/bin/env bash
# Runs a command where the container tests find a Docker Engine and a base image for the Dockerfile:
#
#   test/container/with-engine.sh npx vitest run test/container
#
# Takes the engine that answers. Else it starts one for this command, as root, with data, socket and network rules of its own, of which nothing
# is left at the end. Where there can be none it says why and runs the command all the same: the tests are then skipped by
# name. Needs docker.io and docker-compose, and debootstrap where the base image cannot be pulled; `npm ci` before.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
place=""
engine=""
bridge_was=""

answers() { timeout 10 docker version >/dev/null 2>&1; }

start_engine() {
  place=$(mktemp -d /var/tmp/lockstep-engine-XXXXXX)
  # dockerd closes the way between other hosts' networks, and leaves it closed.
  iptables-save >"$place/rules" || return 1
  ip link show docker0 >/dev/null 2>&1 && bridge_was=there
  export DOCKER_HOST="unix://$place/socket"
  setsid dockerd --host "$DOCKER_HOST" --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" >"$place/log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    answers && return 0
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.5
  done
  echo "dockerd says:"
  tail -5 "$place/log"
  return 1
}

clean_up() {
  [ -n "$place" ] || return 0
  if [ -n "$engine" ] && kill "$engine" 2>/dev/null; then wait "$engine"; fi
  [ -f "$place/rules" ] && iptables-restore <"$place/rules"
  [ -n "$bridge_was" ] || ip link delete docker0 2>/dev/null
  rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

why_no_engine() {
  local command
  for command in docker docker-compose; do
    type "$command" >/dev/null 2>&1 || { echo "$command is missing"; return; }
  done
  if ! answers; then
    for command in dockerd iptables ip; do
      type "$command" >/dev/null 2>&1 || { echo "no engine answers, and $command is missing"; return; }
    done
    [ "$(id -u)" -eq 0 ] || { echo "no engine answers, and only root can start one"; return; }
  fi
}

why=$(why_no_engine)
if [ -z "$why" ] && ! answers; then start_engine >&2 || why="dockerd does not start"; fi
base=${LOCKSTEP_BASE_IMAGE:-lockstep-base}
if [ -z "$why" ] && ! docker image inspect "$base" >/dev/null 2>&1; then
  "$root/deploy/base-image.sh" "$base" >/dev/null || why="there is no base image"
fi
[ -z "$why" ] || echo "no containers: $why"
"$@"
