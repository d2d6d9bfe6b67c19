#!/usr/bin/env bash
# Makes a base image for the Dockerfile where node:24-bookworm-slim cannot be pulled: Debian by debootstrap, the Node that `npm ci`
# brought, this machine's npm and its certificate authorities. Needs root, debootstrap, Docker, and `npm ci` before.
#
#   deploy/base-image.sh [TAG] && docker build --build-arg BASE=TAG -t lockstep .
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-lockstep-base}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" >"$root.log" || { cat "$root.log"; exit 1; }
rm -rf "$root.log" "$root"/usr/share/{doc,man,locale,info} "$root"/var/{cache,log,lib/apt/lists}/*
mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial" "$root/usr/local/lib/node_modules"
install -m 755 node_modules/node/bin/node "$root/usr/local/bin/node"
cp -r "$(npm root -g)/npm" "$root/usr/local/lib/node_modules/npm"
for command in npm npx; do ln -s "../lib/node_modules/npm/bin/$command-cli.js" "$root/usr/local/bin/$command"; done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

tar -C "$root" -c . | docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
  --change 'CMD ["node"]' - "$tag"
