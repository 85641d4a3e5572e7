package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"evenkeel/fsm"
)

func listenerKind(a *App) *kind {
	files := newFiles(a)
	return &kind{
		name: "listener", plural: "listeners",
		short: "the addresses at which every node accepts traffic",
		fields: []field{
			{flag: "address", usage: ":PORT or HOST:PORT", apply: text("address")},
			{flag: "protocol", usage: "http, https, tcp or tls-passthrough", apply: text("protocol"),
				known: []string{fsm.ProtocolHTTP, fsm.ProtocolHTTPS, fsm.ProtocolTCP, fsm.ProtocolTLSPassthrough}},
			{flag: "tls-certificate", list: true, names: fsm.KindCertificate, usage: "certificate that https shows, the default one first (repeatable; default: all)",
				apply: texts("tls.certificates")},
			{flag: "tls-policy", usage: "intermediate, TLS 1.2 with forward secrecy and 1.3, or modern, 1.3 alone", apply: text("tls.policy"),
				known: []string{fsm.PolicyIntermediate, fsm.PolicyModern}},
			{flag: "tls-min-version", usage: "1.2 or 1.3 (default: what the policy has)", apply: text("tls.min_version"), known: []string{fsm.TLS12, fsm.TLS13}},
			{flag: "tls-unknown-name", usage: "what a client gets that asks for a name of no certificate: default, the default one, or refuse", apply: text("tls.unknown_name"),
				known: []string{fsm.UnknownNameDefault, fsm.UnknownNameRefuse}},
			{flag: "client-auth", usage: "whether clients show certificates: required, optional or none", apply: setClientAuth,
				known: []string{fsm.ClientAuthRequired, fsm.ClientAuthOptional, noClientAuth}},
			{flag: "client-ca-file", usage: "PEM file with who issues the certificates of clients; - is the standard input",
				apply: within("tls.client_auth", "client-ca-file", files.field("tls.client_auth.ca", "client-ca-file", "certificate", true, chainOf))},
			{flag: "http2", boolean: true, usage: "speak HTTP/2 too (default true)", apply: without("http2.disabled", "http2")},
			{flag: "http2-only", boolean: true, usage: "speak HTTP/2 alone", apply: truth("http2.only", "http2-only")},
			{flag: "http2-max-streams", usage: "requests that one connection of HTTP/2 may have in flight, 1 to 1000", apply: number("http2.max_streams", "http2-max-streams")},
			{flag: "proxy-protocol-from", list: true, usage: "network whose connections, and no others, are taken and begin with a PROXY header, such as 10.0.0.0/8 (repeatable)",
				apply: texts("proxy_protocol.trusted")},
			{flag: "trusted-proxy", list: true, usage: "network whose X-Forwarded-* are believed, such as 10.0.0.0/8 (repeatable)",
				apply: texts("trusted_proxies")},
			{flag: "via", boolean: true, usage: "write Via into requests and responses", apply: truth("forwarding.via", "via")},
			{flag: "client-head-timeout", usage: "bound of a request's head, such as 10s", apply: text("timeouts.client_head")},
			{flag: "client-idle-timeout", usage: "how long a connection may wait for its next request, such as 60s", apply: text("timeouts.client_idle")},
			{flag: "body-timeout", usage: "how long a body may stand still because of the client, such as 5m", apply: text("timeouts.body")},
			{flag: "idle-timeout", usage: "how long a connection of tcp or tls-passthrough may be silent, such as 1h", apply: text("timeouts.idle")},
			{flag: "max-connections", usage: "client connections that each node serves at once", apply: number("limits.connections", "max-connections")},
		},
		head: []string{"NAME", "ADDRESS", "PROTOCOL", "LISTENING", "TRUSTED PROXIES"},
		row:  listenerRow,
		more: listenerTroubles,
	}
}

// noClientAuth is what --client-auth takes for a listener that asks clients for
// nothing.
const noClientAuth = "none"

// setClientAuth comes before the other fields of client_auth, which may create it.
func setClientAuth(d *document, texts []string) error {
	if texts[0] == noClientAuth {
		d.clear("tls.client_auth", "--client-auth none")
		return nil
	}
	return text("tls.client_auth.mode")(d, texts)
}

// describeListening is how clients are spoken to, such as
// "https, client certificates required, PROXY".
func describeListening(l fsm.ListenerSpec) string {
	what := l.Protocol
	if l.TLS != nil && l.TLS.ClientAuth != nil {
		what += ", client certificates " + l.TLS.ClientAuth.Mode
	}
	if l.ProxyProtocol != nil {
		what += ", PROXY"
	}
	return what
}

// listenerDoc is a listener with how it fares on each node.
type listenerDoc struct {
	Name   string           `json:"name"`
	Spec   fsm.ListenerSpec `json:"spec"`
	Status struct {
		Nodes map[string]struct {
			State string `json:"state"`
			Error string `json:"error"`
		} `json:"nodes"`
	} `json:"status"`
}

func listenerRow(object []byte) ([]string, error) {
	l, err := decode[listenerDoc](object)
	if err != nil {
		return nil, err
	}
	open := 0
	for _, status := range l.Status.Nodes {
		if status.State == "listening" {
			open++
		}
	}
	listening := ""
	if len(l.Status.Nodes) > 0 {
		listening = fmt.Sprintf("%d of %d nodes", open, len(l.Status.Nodes))
	}
	return []string{l.Name, l.Spec.Address, describeListening(l.Spec), listening, strings.Join(l.Spec.TrustedProxies, ",")}, nil
}

// listenerTroubles names the nodes where the listener is not open, and why, and
// what else is wrong.
func listenerTroubles(w io.Writer, object []byte) error {
	l, err := decode[listenerDoc](object)
	if err != nil {
		return err
	}
	for _, node := range slices.Sorted(maps.Keys(l.Status.Nodes)) {
		status := l.Status.Nodes[node]
		if status.State == "listening" {
			continue
		}
		text := fmt.Sprintf("%s on %s: %s", l.Name, node, status.State)
		if status.Error != "" {
			text += ": " + status.Error
		}
		if _, err := fmt.Fprintln(w, printable(text)); err != nil {
			return err
		}
	}
	return warnings(w, object)
}
