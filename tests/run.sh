#!/usr/bin/env bash
# Install what the tests need, from nothing, and run them: lint, types, tests under virtual displays.
# With arguments: just those tests, for example `bash tests/run.sh tests/io`.
# BLOCHNET_TEST_DATA names a folder of real data for the tests that use it (default: ../shared/data).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages="python3-venv xvfb libgl1 libegl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4
  libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3"
if command -v apt-get >/dev/null; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi

environment="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$environment"' EXIT
"${PYTHON:-python3}" -m venv "$environment"
# modules are compiled when they are first imported; most of what is installed never is
pip() { "$environment/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"; }
pip --upgrade pip
# the pinned release first: without it, Linux pulls the CUDA packages that no test here needs
pip "torch==2.13.0"
pip ".[all,test]"
export PATH="$environment/bin:$PATH"

# Every process that runs tests starts an X server of its own (tests/conftest.py says why). Tests run side by side, so
# each draws, and computes in PyTorch and Numba, on one thread: more would only take the cores from each other.
export BLOCHNET_TEST_DISPLAY=own NAPARI_SETTINGS_ENV=test
export LP_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# kernels that an earlier run compiled from the same sources
python tests/compiled_kernels.py take
if [ "$#" -gt 0 ]; then
  python -m pytest "$@"
  exit
fi

lint() {
  ruff check src tests && ruff format --check src tests && mypy && npe2 validate napari-blochnet
}
# The main job with Qt's other binding, which lies beside the environment: what stands first on the path is found first,
# and tests/conftest.py hides PyQt6.
other_binding() {
  pip --target "$environment/pyside6" --no-deps "PySide6_Essentials==6.10.3" "shiboken6==6.10.3"
  PYTHONPATH="$environment/pyside6" QT_API=pyside6 PYTEST_QT_API=pyside6 \
    exec python -m pytest -p no:cacheprovider tests/napari_ui/test_end_to_end.py tests/napari_ui/test_main_job.py
}
passed=yes
# where there were none: once, beside the linters, and not in every process at the same time
python tests/compiled_kernels.py make &
kernels=$!
# said at once, long before the tests end
lint || passed=no
wait "$kernels" || passed=no
other_binding >"$environment/other-binding.log" 2>&1 &
other=$!
# a window waits for its painting and its threads: one test more than there are cores keeps these busy
workers=$(($(python -c "import os; print(min(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(), 6))") + 1))
python -m pytest --numprocesses="$workers" --dist=loadfile --no-loadscope-reorder --durations=15 tests || passed=no
wait "$other" || passed=no
cat "$environment/other-binding.log"
python tests/compiled_kernels.py keep
[ "$passed" = yes ]
