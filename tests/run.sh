#!/usr/bin/env bash
# Install what the tests need, from nothing, and run them: lint, types, tests under a virtual display.
# BLOCHNET_TEST_DATA names a folder of real data for the tests that use it (default: ../shared/data).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages="python3-venv xvfb xauth libgl1 libegl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4
  libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3"
if command -v apt-get >/dev/null; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi

environment="$(mktemp -d)"
trap 'rm -rf "$environment"' EXIT
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --upgrade pip
# the pinned release first: without it, Linux pulls the CUDA packages that no test here needs
"$environment/bin/python" -m pip install --quiet "torch==2.13.0"
"$environment/bin/python" -m pip install --quiet ".[all,test]"
export PATH="$environment/bin:$PATH"

ruff check src tests
ruff format --check src tests
mypy
npe2 validate napari-blochnet
# nothing of the user's own napari settings may change what is tested
export NAPARI_CONFIG="$environment/napari-settings.yaml"
export NAPARI_SETTINGS_ENV=test
tests() {
  xvfb-run --auto-servernum --server-args="-screen 0 1920x1080x24" python -m pytest "$@"
}
if [ "$#" -gt 0 ]; then
  tests "$@"
  exit
fi
passed=yes
# what has no window side by side, windows one after another
tests --numprocesses=auto --maxprocesses=4 --dist=loadfile tests --ignore=tests/napari_ui || passed=no
tests tests/napari_ui || passed=no
# the main job once more with Qt's other binding
python -m pip uninstall --quiet --yes PyQt6
python -m pip install --quiet "PySide6==6.10.3"
QT_API=pyside6 PYTEST_QT_API=pyside6 tests tests/napari_ui/test_end_to_end.py tests/napari_ui/test_main_job.py || passed=no
[ "$passed" = yes ]
