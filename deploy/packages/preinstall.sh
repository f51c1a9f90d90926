#!/bin/sh
# Before the files come: their group must be known.
set -e
getent group lambdamesh >/dev/null || groupadd --system lambdamesh
getent passwd lambdamesh >/dev/null ||
	useradd --system --gid lambdamesh --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lambdamesh
