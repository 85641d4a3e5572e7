//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"evenkeel/e2e/harness"
)

// freeAddress returns a loopback address whose port nobody uses, outside of
// the range from which the kernel takes those of outgoing connections: one
// that overlaps with a listener makes a bind or a connect fail now and then.
// Each port is given out once.
func (b *bench) freeAddress() (string, error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return "", err
	}
	low, high, err := parsePortRange(string(text))
	if err != nil {
		return "", err
	}
	for b.port++; b.port <= 65535; b.port++ {
		address := fmt.Sprintf("127.0.0.1:%d", b.port)
		if (b.port < low || b.port > high) && harness.AddressFree(address) {
			return address, nil
		}
	}
	return "", errors.New("find a free port: all those outside of the range of outgoing connections are in use")
}
