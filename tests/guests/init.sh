#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The kanyun authors
#
# Process 1 of a test guest. On the kernel's command line: kyaddr=ADDRESS/PREFIX of eth0,
# kypeer=ADDRESS and kypeermac=MAC of the bridge, which never answers ARP.
# Then it runs what comes over the second serial port: "TOKEN command" gives "KYBEGIN TOKEN", the
# command's output, and "KYEND TOKEN status". What has the token of the command before is the same,
# given once more, and not done again.
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for module in $(cat /modules/order); do
	insmod "/modules/$module.ko" || echo "the module $module is missing"
done
for word in $(cat /proc/cmdline); do
	case $word in ky*=*) export "${word?}" ;; esac
done
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip link set eth0 up
ip addr add "$kyaddr" dev eth0
arp -s "$kypeer" "$kypeermac"
# Counters that are not zero from the first reading on.
exact write /dev/vda 4096 1
exact read /dev/vda 4096 1
echo "KYREADY"
last=
while :; do
	stty -F /dev/ttyS1 raw -echo 2>/dev/null
	while IFS=' ' read -r token line; do
		[ -n "$line" ] && [ "$token" != "$last" ] || continue
		last=$token
		echo "KYBEGIN $token"
		sh -c "$line" 2>&1 </dev/null
		echo "KYEND $token $?"
	done </dev/ttyS1 >/dev/ttyS1
	sleep 1
done
