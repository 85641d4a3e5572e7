package main

import (
	"net"

	"evenkeel/balancer"
	"evenkeel/cmd/evenkeel/config"
	"evenkeel/health"
	"evenkeel/httpapi"
)

// The parts do not know each other's types; what follows translates.

func listeners(traffic *balancer.Balancer) map[string]httpapi.ListenerStatus {
	all := map[string]httpapi.ListenerStatus{}
	for name, status := range traffic.Listeners() {
		all[name] = httpapi.ListenerStatus(status)
	}
	return all
}

func counters(traffic *balancer.Balancer) httpapi.Traffic {
	var all httpapi.Traffic
	stats := traffic.Stats()
	for _, l := range stats.Listeners {
		all.Listeners = append(all.Listeners, httpapi.ListenerTraffic{
			Name: l.Name, Connections: l.Connections, Active: l.Active,
			Requests: l.Requests, Unrouted: l.NoRoute, Unavailable: l.NoBackend,
			BadGateway: l.BadGateway, Timeout: l.Timeout, Refused: l.Refused,
			ClientLeft: l.ClientLeft, Panics: l.Panics, BytesIn: l.BytesIn, BytesOut: l.BytesOut,
		})
	}
	for _, b := range stats.Backends {
		all.Backends = append(all.Backends, httpapi.BackendTraffic(b))
	}
	return all
}

func probes(observer *health.Observer) httpapi.ProbeCount {
	counted := observer.Counters()
	return httpapi.ProbeCount{Passed: counted.Passed, Failed: counted.Failed, Void: counted.Void}
}

// apiAddress returns the API's address as the other nodes show it, without a
// host if the API is open on all.
func apiAddress(options *config.Config, bound net.Addr) string {
	_, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	host, _, err := net.SplitHostPort(options.APIAddr)
	if err != nil || isUnspecified(host) {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
