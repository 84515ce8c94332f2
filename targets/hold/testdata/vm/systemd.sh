#!/bin/bash
# Runs the tests of package hold under a real systemd, as root and as a user with a systemd of their
# own: the transient scopes that the small machine of main.go, which has no systemd, cannot show.
# Needs root, debootstrap, cpio, qemu-system-x86_64 and, for two minutes, 500 MB of disk; run
# main.go once before, it fetches the kernel. From the top of the repository:
#
#	targets/hold/testdata/vm/systemd.sh
set -euo pipefail

kernel=$(ls "${XDG_CACHE_HOME:-$HOME/.cache}"/advise-test/vmlinuz-* | tail -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd \
	bookworm "$root" http://deb.debian.org/debian >"$work/debootstrap.log"
CGO_ENABLED=0 go test -c -o "$root/hold.test" ./targets/hold
chroot "$root" useradd -m -u 1000 tester
ln -s lib/systemd/systemd "$root/init"

cat >"$root/hold.sh" <<'GUEST'
#!/bin/bash
exec >/dev/ttyS0 2>&1
export CI=true ADVISE_TEST_METHODS=cgroup2
run="-test.v -test.timeout=5m -test.run=Exit|Polite|Deaf|Daemon|Pinned|Memory|Quota|Listening|GuardIs|AreKilled|Auto|Frozen"
/hold.test $run; echo "hold-vm: root $?"
loginctl enable-linger tester
until [ -S /run/user/1000/bus ]; do sleep 0.2; done
runuser -u tester -- env XDG_RUNTIME_DIR=/run/user/1000 /hold.test $run; echo "hold-vm: user $?"
echo "hold-vm: left $(find /sys/fs/cgroup -type d -name 'advise-*' | wc -l)"
systemctl poweroff --force --force
GUEST
chmod 755 "$root/hold.sh"
cat >"$root/etc/systemd/system/hold.service" <<'UNIT'
[Unit]
After=dbus.service systemd-logind.service
[Service]
ExecStart=/hold.sh
[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl enable hold.service 2>/dev/null
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
(cd "$root" && find . -xdev | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs"

timeout 600 qemu-system-x86_64 -nodefaults -no-user-config -display none -serial stdio -nic none -no-reboot \
	-smp 2 -m 2048 -cpu max -accel tcg -kernel "$kernel" -initrd "$work/initramfs" \
	-append "console=ttyS0 panic=-1 quiet systemd.mask=getty.target systemd.mask=serial-getty@ttyS0.service" |
	tr -d '\r' | tee "$work/console"
for line in "root 0" "user 0" "left 0"; do
	grep -qx "hold-vm: $line" "$work/console" || { echo "systemd.sh: not seen: $line" >&2; exit 1; }
done
