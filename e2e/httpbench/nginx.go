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
		start: func(ctx context.Context, b *bench, p placing) (*server, error) {
			address, err := b.freeAddress()
			if err != nil {
				return nil, err
			}
			path, err := executable("nginx")
			if err != nil {
				return nil, err
			}
			file := filepath.Join(b.dir, "nginx.conf")
			if err := os.WriteFile(file, []byte(nginxConfig(b.dir, address, b.backends, b.descriptors)), 0o600); err != nil {
				return nil, err
			}
			return b.launch(ctx, address, command{name: nameNginx, cores: p.cores,
				argv: []string{path, "-p", b.dir, "-e", "stderr", "-c", file}})
		}}
}

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
func nginxConfig(dir, address string, backends []string, descriptors int) string {
	var c strings.Builder
	fmt.Fprintf(&c, "daemon off;\nmaster_process off;\nworker_processes 1;\npid %s/nginx.pid;\nerror_log stderr crit;\n", dir)
	fmt.Fprintf(&c, "events { worker_connections %d; multi_accept on; }\n", descriptors-200)
	c.WriteString("http {\n\taccess_log off;\n\tserver_tokens off;\n\tkeepalive_requests 1000000000;\n\tkeepalive_time 24h;\n\tkeepalive_timeout 1h;\n")
	for _, use := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&c, "\t%s_temp_path %s/nginx-%s;\n", use, dir, use)
	}
	c.WriteString("\tupstream out {\n\t\tkeepalive 2048;\n\t\tkeepalive_requests 1000000000;\n\t\tkeepalive_time 24h;\n\t\tkeepalive_timeout 1h;\n")
	for _, backend := range backends {
		fmt.Fprintf(&c, "\t\tserver %s;\n", backend)
	}
	fmt.Fprintf(&c, "\t}\n\tserver {\n\t\tlisten %s backlog=4096;\n\t\tlocation / {\n\t\t\tproxy_pass http://out;\n", address)
	c.WriteString("\t\t\tproxy_http_version 1.1;\n\t\t\tproxy_set_header Connection \"\";\n\t\t\tproxy_set_header Host $http_host;\n" +
		"\t\t\tproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n" +
		"\t\t\tproxy_buffer_size 16k;\n\t\t\tproxy_buffers 32 16k;\n\t\t\tproxy_busy_buffers_size 64k;\n\t\t\tproxy_max_temp_file_size 0;\n" +
		"\t\t}\n\t}\n}\n")
	return c.String()
}
