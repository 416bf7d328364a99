#!/usr/bin/env bash
# SoftHSM, a PKCS#11 token in software, for the tests of that custodian. Where it cannot be installed they are skipped by name.
set -u
if command -v softhsm2-util >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends softhsm2; } >/dev/null 2>&1 && exit 0
elif [ "$(id -u)" = 0 ] && command -v dnf >/dev/null; then
  dnf install -y -q softhsm >/dev/null 2>&1 && exit 0
elif [ "$(id -u)" = 0 ] && command -v apk >/dev/null; then
  apk add --quiet softhsm >/dev/null 2>&1 && exit 0
elif command -v brew >/dev/null; then
  brew install --quiet softhsm >/dev/null 2>&1 && exit 0
fi
echo "softhsm: no SoftHSM here, and it could not be installed; tests of the custodian pkcs11 will be skipped" >&2
exit 0
