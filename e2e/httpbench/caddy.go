//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// caddyProgram is Caddy without what it does beside the job: no administration,
// no certificates, no logs of requests.
func caddyProgram() program {
	return program{name: nameCaddy, executable: []string{"caddy", "version"}, install: "caddy",
		start: func(ctx context.Context, b *bench, p placing) (*server, error) {
			address, err := b.freeAddress()
			if err != nil {
				return nil, err
			}
			path, err := executable("caddy")
			if err != nil {
				return nil, err
			}
			file := filepath.Join(b.dir, "Caddyfile")
			if err := os.WriteFile(file, []byte(caddyConfig(address, b.backends)), 0o600); err != nil {
				return nil, err
			}
			return b.launch(ctx, address, command{name: nameCaddy, cores: p.cores,
				argv: []string{path, "run", "--config", file, "--adapter", "caddyfile"}}, p.front)
		}}
}

// caddyConfig keeps the connections to backends; the default would keep 32 of
// each.
func caddyConfig(address string, backends []string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf(`{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://:%s {
	bind %s
	reverse_proxy %s {
		lb_policy round_robin
		transport http {
			keepalive 1h
			keepalive_idle_conns 0
			keepalive_idle_conns_per_host %s
			compression off
		}
	}
}
`, port, host, strings.Join(backends, " "), strconv.Itoa(2048))
}
