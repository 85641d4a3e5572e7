package cli

import (
	"fmt"
	"strings"

	"evenkeel/fsm"
)

// noCheck is what --check takes for a pool without a health check.
const noCheck = "none"

func poolKind(a *App) *kind {
	files := newFiles(a)
	return &kind{
		name: "pool", plural: "pools",
		short: "groups of backends that share requests",
		fields: []field{
			{flag: "strategy", usage: "how a backend is chosen: " + strings.Join(fsm.Strategies(), ", "),
				apply: text("strategy"), known: fsm.Strategies()},
			{flag: "hash-on", usage: "what maglev, ring_hash and rendezvous hash: " + strings.Join(hashSources(), ", "),
				apply: object("hash", "on"), known: hashSources()},
			{flag: "hash-name", usage: "name of the header field, cookie or query parameter that is hashed", apply: text("hash.name")},
			{flag: "hash-balance", usage: "percent of the mean load that no backend exceeds, 101 to 1000", apply: number("hash.balance_factor", "hash-balance")},
			{flag: "sticky-cookie", usage: "name of the cookie that brings clients back to their backend", apply: object("sticky", "cookie")},
			{flag: "prefer-zone", boolean: true, usage: "choose among the backends of the node's own zone first", apply: truth("prefer_zone", "prefer-zone")},
			{flag: "protocol", usage: "what backends are sent: http1 or http2", apply: text("protocol"), known: []string{fsm.PoolHTTP1, fsm.PoolHTTP2}},
			{flag: "tls", boolean: true, usage: "speak TLS to the backends, as any other --tls flag means too", apply: presence("tls", "tls")},
			{flag: "tls-server-name", usage: "what backends are asked for and their certificates must be for (default: the host of the address)",
				apply: keeping("tls", "tls-server-name", text("tls.server_name"))},
			{flag: "tls-ca-file", usage: "PEM file with who is trusted to issue the backends' certificates, instead of the system's; - is the standard input",
				apply: keeping("tls", "tls-ca-file", files.field("tls.ca", "tls-ca-file", "certificate", true, chainOf))},
			{flag: "tls-certificate", names: fsm.KindCertificate, usage: "certificate that is shown to backends which ask for one", apply: keeping("tls", "tls-certificate", text("tls.certificate"))},
			{flag: "tls-insecure", boolean: true, usage: "take any certificate of a backend", apply: keeping("tls", "tls-insecure", flagged("tls.insecure", "tls-insecure"))},
			{flag: "proxy-protocol", usage: "version of the PROXY header that connections to backends begin with: v1 or v2", apply: text("proxy_protocol"),
				known: []string{fsm.ProxyV1, fsm.ProxyV2}},
			{flag: "connect-timeout", usage: "bound of one connect, such as 3s", apply: text("timeouts.connect")},
			{flag: "first-byte-timeout", usage: "bound of the wait for a response's head, such as 60s", apply: text("timeouts.first_byte")},
			{flag: "request-timeout", usage: "bound of a whole request, such as 30s", apply: text("timeouts.request")},
			{flag: "tunnel-timeout", usage: "how long an upgraded connection may be silent, such as 1h", apply: text("timeouts.tunnel")},
			{flag: "retry-attempts", usage: "how many backends one request may try, 1 to 32", apply: number("retries.attempts", "retry-attempts")},
			{flag: "max-requests", usage: "requests that each node has in flight to one backend", apply: number("limits.backend_requests", "max-requests")},
			{flag: "max-backend-connections", usage: "connections of HTTP/2 that each event loop has to one backend", apply: number("limits.backend_connections", "max-backend-connections")},
			{flag: "queue", usage: "requests of each node that wait when all backends are at their bound", apply: number("limits.queue", "queue")},
			{flag: "queue-timeout", usage: "bound of that wait, such as 5s", apply: text("limits.queue_timeout")},
			{flag: "check", usage: "type of the health check: tcp, http, grpc or none", apply: setCheck,
				known: []string{fsm.CheckTCP, fsm.CheckHTTP, fsm.CheckGRPC, noCheck}},
			{flag: "check-path", usage: "what an HTTP check asks for", apply: text("check.path")},
			{flag: "check-service", usage: "service that a gRPC check asks about (default: the server as a whole)", apply: text("check.service")},
			{flag: "check-tls", boolean: true, usage: "have the check speak TLS, as any other --check-tls flag means too", apply: presence("check.tls", "check-tls")},
			{flag: "check-tls-server-name", usage: "what the check asks the backend for and its certificate must be for (default: the host of the address)",
				apply: keeping("check.tls", "check-tls-server-name", text("check.tls.server_name"))},
			{flag: "check-tls-ca-file", usage: "PEM file with who is trusted to issue the backends' certificates, for the check; - is the standard input",
				apply: keeping("check.tls", "check-tls-ca-file", files.field("check.tls.ca", "check-tls-ca-file", "certificate", true, chainOf))},
			{flag: "check-tls-insecure", boolean: true, usage: "have the check take any certificate",
				apply: keeping("check.tls", "check-tls-insecure", flagged("check.tls.insecure", "check-tls-insecure"))},
			{flag: "check-interval", usage: "time between two probes, such as 2s", apply: text("check.interval")},
			{flag: "check-timeout", usage: "bound of one probe, such as 1s", apply: text("check.timeout")},
			{flag: "check-rise", usage: "probes in a row that must pass", apply: number("check.rise", "check-rise")},
			{flag: "check-fall", usage: "probes in a row that must fail", apply: number("check.fall", "check-fall")},
			{flag: "check-expect", usage: "status codes that pass, such as 200-299,304", apply: text("check.expect")},
			{flag: "check-expect-text", usage: "text that must occur in the answer of an HTTP check", apply: text("check.expect_text")},
			{flag: "check-host", usage: "Host field of an HTTP check, authority of a gRPC check", apply: text("check.host")},
			{flag: "check-port", usage: "port that is probed instead of the traffic's", apply: number("check.port", "check-port")},
			{flag: "check-fast-interval", usage: "time between two probes while the backend is down or in doubt", apply: text("check.fast_interval")},
			{flag: "check-observers", usage: "how many nodes probe each backend, 1 to 15", apply: number("check.observers", "check-observers")},
			{flag: "ejection-failures", usage: "failed attempts in a row after which a node avoids a backend for a while", apply: number("ejection.failures", "ejection-failures")},
			{flag: "ejection-errors", usage: "5xx responses in a row after which it does, 0 for never", apply: number("ejection.errors", "ejection-errors")},
			{flag: "ejection-hold", usage: "how long the first such while is, such as 5s", apply: text("ejection.hold")},
			{flag: "slow-start", usage: "how long the weight of a backend grows that became up, such as 30s", apply: text("slow_start")},
			{flag: "panic-percent", usage: "share of usable backends below which all that are ready are used, 0 for never", apply: number("panic_percent", "panic-percent")},
		},
		head: []string{"NAME", "PROTOCOL", "STRATEGY", "CHECK"},
		row: func(object []byte) ([]string, error) {
			p, err := decode[fsm.Pool](object)
			if err != nil {
				return nil, err
			}
			return []string{p.Name, describeProtocol(p.Spec), describeStrategy(p.Spec), describeCheck(p.Spec.Check)}, nil
		},
	}
}

func hashSources() []string {
	return []string{fsm.HashSource, fsm.HashHeader, fsm.HashCookie, fsm.HashPath, fsm.HashQuery}
}

// describeProtocol is how backends are spoken to, such as "http2, TLS".
func describeProtocol(p fsm.PoolSpec) string {
	what := p.EffectiveProtocol()
	switch {
	case p.TLS != nil && p.TLS.Insecure:
		what += ", TLS (insecure)"
	case p.TLS != nil:
		what += ", TLS"
	}
	if p.ProxyProtocol != "" {
		what += ", PROXY " + p.ProxyProtocol
	}
	return what
}

// describeStrategy returns how a pool chooses, such as
// "maglev on cookie session, sticky".
func describeStrategy(p fsm.PoolSpec) string {
	what := p.Strategy
	if p.Hash != nil {
		what += " on " + strings.TrimSpace(p.Hash.On+" "+p.Hash.Name)
	}
	if p.Sticky != nil {
		what += ", sticky"
	}
	return what
}

// setCheck comes before the other fields of the check, which may create it.
func setCheck(d *document, texts []string) error {
	if texts[0] == noCheck {
		d.setPath("check", nil)
		return nil
	}
	d.setPath("check.type", texts[0])
	return nil
}

// describeCheck returns a check in a few words, such as
// "http /healthz every 2s, timeout 1s, rise 2, fall 3".
func describeCheck(c *fsm.Check) string {
	if c == nil {
		return noCheck
	}
	what := c.Type
	if text := c.Path + c.Service; text != "" { // never both
		what += " " + text
	}
	if c.Port != 0 {
		what += fmt.Sprintf(" on port %d", c.Port)
	}
	if c.Expect != "" {
		what += " expects " + c.Expect
	}
	return fmt.Sprintf("%s every %s, timeout %s, rise %d, fall %d", what, c.Interval, c.Timeout, c.Rise, c.Fall)
}
