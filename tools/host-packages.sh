#!/bin/sh
# Installs the Debian packages that the harness needs on the host, where one is missing.
exec "$(dirname "$0")/packages.sh" qemu-system-x86 qemu-utils mmdebstrap e2fsprogs busybox-static python3-venv
