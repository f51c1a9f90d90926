#!/bin/sh
# Called by dpkg with "remove" or "upgrade", by rpm with the number of versions that stay.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now lambdamesh.service
	fi
	;;
esac
