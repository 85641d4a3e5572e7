package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"evenkeel/fsm"
)

func listenerKind() *kind {
	return &kind{
		name: "listener", plural: "listeners",
		short: "the addresses at which every node accepts traffic",
		fields: []field{
			{flag: "address", usage: ":PORT or HOST:PORT", apply: text("address")},
			{flag: "protocol", usage: "http", apply: text("protocol"), known: []string{fsm.ProtocolHTTP}},
			{flag: "trusted-proxy", list: true, usage: "network whose X-Forwarded-* are believed, such as 10.0.0.0/8 (repeatable)",
				apply: texts("trusted_proxies")},
			{flag: "via", boolean: true, usage: "write Via into requests and responses", apply: truth("forwarding.via", "via")},
			{flag: "client-head-timeout", usage: "bound of a request's head, such as 10s", apply: text("timeouts.client_head")},
			{flag: "client-idle-timeout", usage: "how long a connection may wait for its next request, such as 60s", apply: text("timeouts.client_idle")},
			{flag: "body-timeout", usage: "how long a body may stand still because of the client, such as 5m", apply: text("timeouts.body")},
			{flag: "max-connections", usage: "client connections that each node serves at once", apply: number("limits.connections", "max-connections")},
		},
		head: []string{"NAME", "ADDRESS", "PROTOCOL", "LISTENING", "TRUSTED PROXIES"},
		row:  listenerRow,
		more: listenerTroubles,
	}
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
	return []string{l.Name, l.Spec.Address, l.Spec.Protocol, listening, strings.Join(l.Spec.TrustedProxies, ",")}, nil
}

// listenerTroubles names the nodes where the listener is not open, and why.
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
	return nil
}
