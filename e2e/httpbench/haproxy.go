//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// haproxyProgram is HAProxy with one more option, if it is not "". Of the two
// for large bodies splice-auto is what its manual recommends, but 2.6 decides
// on it before the body comes, and then copies a body of 1 MB like others;
// splice-response is what it does there when it does splice.
func haproxyProgram(name, option string) program {
	return program{name: name, executable: []string{"haproxy", "-v"}, install: "haproxy", onlyBig: option != "", fronts: haproxyFronts(option),
		start: func(ctx context.Context, b *bench, p placing) (*server, error) {
			return b.startHAProxy(ctx, name, option, p)
		}}
}

// haproxyFronts are what it is measured with beside HTTP/1.1; with a splicing
// option only where bodies are large.
func haproxyFronts(option string) []front {
	if option != "" {
		return []front{frontTCP}
	}
	return []front{frontTLS, frontRPC, frontTCP}
}

func (b *bench) startHAProxy(ctx context.Context, name, option string, p placing) (*server, error) {
	address, err := b.freeAddress()
	if err != nil {
		return nil, err
	}
	path, err := executable("haproxy")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, fmt.Sprintf("%s-%d.cfg", name, b.started))
	if err := os.WriteFile(file, []byte(b.haproxyConfig(address, p, option)), 0o600); err != nil {
		return nil, err
	}
	s, err := b.launch(ctx, address, command{name: name, argv: []string{path, "-db", "-f", file}, cores: p.cores}, p.front)
	if err != nil {
		return nil, err
	}
	return b.withTwin(ctx, s, p, func(ctx context.Context, p placing) (*server, error) {
		return b.startHAProxy(ctx, name, option, p)
	})
}

// haproxyConfig is what an expert writes for keep-alive on both sides. Each
// line that is not plain:
//   - maxconn is made of the descriptors there are. HAProxy wants two for each
//     connection and some, and would not start with fewer; but idle clients
//     need one.
//   - http-reuse always shares the connections to backends between clients; the
//     default, safe, gives a client's first request a connection of its own.
//   - pool-max-conn and pool-purge-delay keep those connections, as the others
//     do, instead of closing half of the unused ones every 5 s.
//   - the suites are in the order of all, see [nativeSuites].
func (b *bench) haproxyConfig(address string, p placing, option string) string {
	var c strings.Builder
	maxconn := b.descriptors - 200
	fmt.Fprintf(&c, "global\n\tmaxconn %d\n\tno strict-limits\n\tnbthread %d\n", maxconn, p.threads)
	if p.threads > 1 {
		fmt.Fprintf(&c, "\tcpu-map auto:1/1-%d %d-%d\n", p.threads, p.cores[0], p.cores[len(p.cores)-1])
	}
	c.WriteString("\tssl-default-bind-ciphersuites " + nativeSuites + "\n\tssl-default-bind-options ssl-min-ver TLSv1.2\n")
	http, bind, behind := "\tmode http\n\toption forwardfor\n\thttp-reuse always\n", "", ""
	switch p.front {
	case frontTCP:
		http = "\tmode tcp\n"
	case frontTLS:
		bind = fmt.Sprintf(" ssl crt %s alpn h2,http/1.1 tls-ticket-keys %s", b.identity.bundleFile, b.identity.ticketLines)
	case frontRPC:
		bind, behind = " proto h2", " proto h2"
	}
	c.WriteString("defaults\n" + http +
		"\ttimeout connect 5s\n\ttimeout client 5m\n\ttimeout server 5m\n\ttimeout http-keep-alive 5m\n")
	if option != "" {
		fmt.Fprintf(&c, "\toption %s\n", option)
	}
	fmt.Fprintf(&c, "frontend in\n\tbind %s%s backlog 4096\n\tmaxconn %d\n\tdefault_backend out\n", address, bind, maxconn)
	c.WriteString("backend out\n\tbalance roundrobin\n\tdefault-server check inter 2s pool-max-conn -1 pool-purge-delay 60s" + behind + "\n")
	for i, backend := range b.backends {
		fmt.Fprintf(&c, "\tserver b%d %s\n", i+1, backend)
	}
	return c.String()
}
