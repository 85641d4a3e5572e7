//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nginxProgram is nginx with one worker.
func nginxProgram() program {
	return program{name: nameNginx, executable: []string{"nginx", "-v"}, install: "nginx-light",
		fronts: []front{frontTLS, frontRPC},
		start:  func(ctx context.Context, b *bench, p placing) (*server, error) { return b.startNginx(ctx, p) }}
}

func (b *bench) startNginx(ctx context.Context, p placing) (*server, error) {
	address, err := b.freeAddress()
	if err != nil {
		return nil, err
	}
	path, err := executable("nginx")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, fmt.Sprintf("nginx-%d.conf", b.started))
	if err := os.WriteFile(file, []byte(b.nginxConfig(address, p.front)), 0o600); err != nil {
		return nil, err
	}
	s, err := b.launch(ctx, address, command{name: nameNginx, cores: p.cores,
		argv: []string{path, "-p", b.dir, "-e", "stderr", "-c", file}}, p.front)
	if err != nil {
		return nil, err
	}
	return b.withTwin(ctx, s, p, b.startNginx)
}

// nativeSuites puts the suite that the bench is about first. It is what browsers
// and Evenkeel prefer on machines with instructions for AES; OpenSSL's own order
// would make its ciphers those of 256 bits, and dearer.
const nativeSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

// nginxConfig is what an expert writes for keep-alive on both sides. Each line
// that is not plain:
//   - master_process off makes the worker the process itself, so that its CPU
//     time is one process's and it cannot outlive the bench; the event loop is
//     the same.
//   - keepalive keeps as many connections to backends as the cases need; the
//     default is to open one for each request, and keepalive_requests' default
//     closes it after 1,000.
//   - the buffers and the lack of a temporary file keep a body of 1 MB in
//     memory, in pieces of HAProxy's size; larger ones were not cheaper.
func (b *bench) nginxConfig(address string, f front) string {
	var c strings.Builder
	fmt.Fprintf(&c, "daemon off;\nmaster_process off;\nworker_processes 1;\npid %s.pid;\nerror_log stderr crit;\n", filepath.Join(b.dir, "nginx-"+strings.ReplaceAll(address, ":", "-")))
	fmt.Fprintf(&c, "events { worker_connections %d; multi_accept on; }\n", b.descriptors-200)
	c.WriteString("http {\n\taccess_log off;\n\tserver_tokens off;\n\tkeepalive_requests 1000000000;\n\tkeepalive_time 24h;\n\tkeepalive_timeout 1h;\n")
	for _, use := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&c, "\t%s_temp_path %s/nginx-%s;\n", use, b.dir, use)
	}
	c.WriteString("\tupstream out {\n\t\tkeepalive 2048;\n\t\tkeepalive_requests 1000000000;\n\t\tkeepalive_time 24h;\n\t\tkeepalive_timeout 1h;\n")
	for _, backend := range b.backends {
		fmt.Fprintf(&c, "\t\tserver %s;\n", backend)
	}
	c.WriteString("\t}\n" + b.nginxServer(address, f) + "}\n")
	return c.String()
}

// nginxServer is the server, by what it speaks.
func (b *bench) nginxServer(address string, f front) string {
	options, secure := "", ""
	location := "\t\t\tproxy_pass http://out;\n" +
		"\t\t\tproxy_http_version 1.1;\n\t\t\tproxy_set_header Connection \"\";\n\t\t\tproxy_set_header Host $http_host;\n" +
		"\t\t\tproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n" +
		"\t\t\tproxy_buffer_size 16k;\n\t\t\tproxy_buffers 32 16k;\n\t\t\tproxy_busy_buffers_size 64k;\n\t\t\tproxy_max_temp_file_size 0;\n"
	switch f {
	case frontTLS:
		options = " ssl http2"
		secure = fmt.Sprintf("\t\tssl_certificate %s;\n\t\tssl_certificate_key %s;\n\t\tssl_session_ticket_key %s;\n\t\tssl_protocols TLSv1.2 TLSv1.3;\n"+
			"\t\tssl_conf_command Ciphersuites %s;\n", b.identity.chainFile, b.identity.keyFile, b.identity.ticketFile, nativeSuites)
	case frontRPC:
		options = " http2"
		location = "\t\t\tgrpc_pass grpc://out;\n\t\t\tgrpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
	}
	return fmt.Sprintf("\tserver {\n\t\tlisten %s%s backlog=4096;\n%s\t\tlocation / {\n%s\t\t}\n\t}\n", address, options, secure, location)
}
