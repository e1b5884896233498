#!/bin/sh
# A Debian base made from packages, for where no image registry can be reached: a tarball on standard output.
#
#   docker/base.sh | docker import - lastbatch-debian:bookworm
#
# It holds what an interpreter built elsewhere links to, and what a rank is looked at with. Needs mmdebstrap and
# takes between 20 s and some minutes, as the package mirror allows.
set -eu
suite=${1:-bookworm}
exec mmdebstrap --quiet --variant=minbase --mode=auto \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include=ca-certificates,gdb-minimal,iproute2 \
  --include=libbz2-1.0,libcrypt1,libexpat1,libffi8,libgomp1,liblzma5,libncursesw6,libnsl2,libreadline8,libsqlite3-0 \
  --include=libssl3,libstdc++6,libuuid1,zlib1g \
  "$suite" -
