#!/bin/sh
# Called by dpkg with "remove", "purge" and others, by rpm with the number of versions
# that stay. What the operator put beside the configuration, such as a token, goes with
# it at a purge. rpm knows none: there it stays.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
	fi
	;;
purge)
	rm -rf /etc/lambdamesh
	if getent passwd lambdamesh >/dev/null; then userdel lambdamesh; fi
	if getent group lambdamesh >/dev/null; then groupdel lambdamesh; fi
	;;
esac
