#!/bin/bash
# Builds the addon against Debian 13's libtorch in a debootstrap folder and runs the engine's tests there; writes docs/native-debian13.md.
# usage (root): scripts/native-debian13.sh [FOLDER]      needs debootstrap; the mirror is the one that apt is configured with
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-${TMPDIR:-/tmp}/filterbasis-debian13}
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root: sudo $0" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
[ -d "$repo/node_modules" ] || { echo "npm packages are missing: npm ci" >&2; exit 1; }

# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(SITE) $(COMPONENT) $(RELEASE)' 'Identifier: Packages' | awk '$2 == "main" && $3 !~ /security|updates|backports/ { print $1; exit }')
[ -n "$mirror" ] || { echo "apt has no Debian mirror configured" >&2; exit 1; }

if [ ! -e "$folder/.filterbasis-ready" ]; then
  debootstrap --variant=minbase --include=ca-certificates trixie "$folder" "$mirror"
  # The host's own way to the mirror: proxies and the like.
  cp -a /etc/apt/apt.conf.d/. "$folder/etc/apt/apt.conf.d/"
  chroot "$folder" apt-get update -q
  DEBIAN_FRONTEND=noninteractive chroot "$folder" apt-get install -yq --no-install-recommends \
    libtorch-dev libopenblas0-pthread build-essential python3 util-linux
  touch "$folder/.filterbasis-ready"
fi

# The host's Node and npm: Debian's npm would bring hundreds of packages.
node=$(readlink -f "$(command -v node)")
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir -p "$folder/opt/node/bin" "$folder/opt/node/lib/node_modules" "$folder/opt/node/include"
cp "$node" "$folder/opt/node/bin/node"
cp -a "$npm" "$folder/opt/node/lib/node_modules/"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$folder/opt/node/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$folder/opt/node/bin/npx"
cp -a "$(dirname "$(dirname "$node")")/include/node" "$folder/opt/node/include/"

work=$folder/filterbasis
mkdir -p "$work/node_modules" "$folder/proc"
for path in src test scripts bench package.json tsconfig.json vitest.config.ts; do
  rm -rf "${work:?}/$path"
  cp -a "$repo/$path" "$work/$path"
done
# The build stays: make sees what changed.
mkdir -p "$work/native"
cp -a "$repo"/native/*.cpp "$repo"/native/*.h "$repo"/native/binding.gyp "$repo"/native/gloo-declarations "$work/native/"
mount --bind "$repo/node_modules" "$work/node_modules"
mount -t proc proc "$folder/proc"
trap 'umount "$work/node_modules" "$folder/proc"' EXIT

inside() { chroot "$folder" /usr/bin/env -i PATH=/opt/node/bin:/usr/bin:/bin HOME=/root npm_config_nodedir=/opt/node OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" CI=1 sh -c "cd /filterbasis && $1"; }
inside "npm run build:native" 2>&1 | tee "$folder/build.log"
status=0
inside "npx vitest run --reporter=default --reporter=json --outputFile=/filterbasis/report.json src/torch/call.test.ts src/torch/tensor.test.ts src/torch/operator-bindings.test.ts src/torch/native.test.ts test/engine-thread.test.ts" 2>&1 | tee "$folder/test.log" || status=$?
version=$(inside "dpkg-query -W -f '\${Version}' libtorch-dev")
"$node" - "$work/report.json" "$version" "$repo/docs/native-debian13.md" "$(git -C "$repo" rev-parse --short HEAD)" "$(cat "$folder/etc/debian_version")" <<'JS'
const { readFileSync, writeFileSync } = require("node:fs");
const [report, libtorch, target, commit, debian] = process.argv.slice(2);
const { numTotalTests, numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
const failed = testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status === "failed").map(({ fullName }) => `- ${fullName}`);
const text = `# The addon on Debian 13

Written by \`scripts/native-debian13.sh\` (debootstrap folder, same sources, nothing changed).

| | |
|---|---|
| date | ${new Date().toISOString().slice(0, 10)} |
| commit | ${commit} |
| Debian | ${debian} |
| libtorch-dev | ${libtorch} |
| Node | ${process.version} |
| build | succeeded |
| engine tests | ${numPassedTests} of ${numTotalTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped |
${failed.length > 0 ? `\nFailed:\n\n${failed.join("\n")}\n` : ""}`;
writeFileSync(target, text);
JS
exit "$status"
