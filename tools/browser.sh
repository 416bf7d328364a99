#!/usr/bin/env bash
# Chromium and a CJK font for the browser tests. Where neither is possible the tests are skipped by name.
set -u
have_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
have_font() { command -v fc-list >/dev/null && fc-list :lang=zh 2>/dev/null | grep -q .; }
if have_chromium && have_font; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "browser: no Chromium with a CJK font here, and no rights to install them; browser tests will be skipped" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-wqy-zenhei fontconfig; } >/dev/null 2>&1; then
  echo "browser: the system's packages could not be installed; browser tests will be skipped" >&2
fi
exit 0
