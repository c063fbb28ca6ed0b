#!/bin/sh
# Runs in the VM, as root, with the project's code in /opt/crashinit: makes any Debian or Ubuntu a machine for
# crashinit. Arguments: further packages. Doing it twice does no harm.
set -eu
here=/opt/crashinit
kernel=$(uname -r)
if [ "$(printf '%s\n' 5.19 "$kernel" | sort -V | head -n 1)" != 5.19 ]; then
    echo "crashinit needs Linux 5.19 or newer, and this box has $kernel: choose Debian 12, Ubuntu 24.04 or newer" >&2
    exit 1
fi
packages="dmsetup e2fsprogs kmod procps python3 python3-pyudev thin-provisioning-tools udev util-linux xfsprogs $*"
missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case "$state" in ii*) ;; *) missing="$missing $package" ;; esac
done
# Ubuntu keeps device-mapper's rarer targets in a package of their own.
modprobe -n -q dm-thin-pool || missing="$missing linux-modules-extra-$kernel"
if [ -n "$missing" ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -- $missing
fi
printf '%s\n' dm-thin-pool loop xfs >/etc/modules-load.d/crashinit.conf
modprobe -a dm-thin-pool loop xfs
# One init asks for the same each time only if it always lies at the same addresses.
echo kernel.randomize_va_space=0 >/etc/sysctl.d/crashinit.conf
sysctl -q -p /etc/sysctl.d/crashinit.conf

mkdir -p $here/crashinit
ln -sfn $here/harness/crashinit/guest $here/crashinit/guest
ln -sfn $here/driver/thindriver /usr/lib/python3/dist-packages/thindriver
python3 -m compileall -q $here
cat >/usr/local/bin/thindriver <<'END'
#!/bin/sh
exec python3 -m thindriver "$@"
END
chmod 755 /usr/local/bin/thindriver

# The agent outlives the connections of those who speak to it: it reads and writes named pipes, and each connection
# runs the relay, which takes the pipes over from the one before. So a snapshot of the machine holds the agent too.
cat >/etc/systemd/system/crashinit-agent.service <<'END'
[Unit]
Description=crashinit's agent
[Service]
WorkingDirectory=/opt/crashinit
RuntimeDirectory=crashinit
RuntimeDirectoryMode=0700
ExecStartPre=mkfifo /run/crashinit/requests /run/crashinit/answers
ExecStart=sh -c 'exec python3 -m crashinit.guest.agent - <>/run/crashinit/requests 1<>/run/crashinit/answers'
[Install]
WantedBy=multi-user.target
END
cat >$here/relay <<'END'
#!/bin/sh
cd /run/crashinit || exit 1
if read -r others 2>/dev/null <relay; then kill $others 2>/dev/null; fi
cat answers &
echo $! $$ >relay
exec cat >requests
END
chmod 755 $here/relay
systemctl daemon-reload
systemctl enable -q crashinit-agent
systemctl restart crashinit-agent
sync
