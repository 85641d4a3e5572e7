package main

import (
	"maps"
	"net"
	"slices"
	"time"

	"evenkeel/balancer"
	"evenkeel/cluster"
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
			ClientLeft: l.ClientLeft, ProxyHeader: l.ProxyHeader, Hello: l.Hello,
			HTTP2Floods: l.HTTP2Floods, HTTP2Faults: l.HTTP2Faults, Panics: l.Panics, BytesIn: l.BytesIn, BytesOut: l.BytesOut,
			HTTP2: l.HTTP2, Spoken: l.Spoken, FullHandshakes: l.FullHandshakes, Resumed: l.Resumed, BadHandshakes: l.BadHandshakes,
		})
	}
	for _, b := range stats.Backends {
		all.Backends = append(all.Backends, httpapi.BackendTraffic{
			Pool: b.Pool, Name: b.Name, InFlight: b.InFlight, Requests: b.Requests, ConnectFailures: b.ConnectFailures,
			Failures: b.Failures, Ejections: b.Ejections, Responses: b.Responses,
		})
	}
	return all
}

func probes(observer *health.Observer) httpapi.ProbeCount {
	counted := observer.Counters()
	return httpapi.ProbeCount{Passed: counted.Passed, Failed: counted.Failed, Void: counted.Void}
}

// localHealth is what this node's probes and requests say of backends.
func localHealth(observer *health.Observer, traffic *balancer.Balancer) httpapi.LocalHealth {
	local, _ := observer.WatchLocal()
	all := httpapi.LocalHealth{
		CutOff:     local.CutOff,
		PoolFaults: traffic.PoolFaults(),
		OpinionsOf: func(pool, uid string) []httpapi.Opinion { return opinions(observer, pool, uid) },
		UsesOf:     func(pool, uid string) []httpapi.Use { return uses(traffic, pool, uid) },
	}
	for _, uid := range slices.Sorted(maps.Keys(local.Health)) {
		veto := httpapi.Veto{UID: uid, Health: local.Health[uid], Reason: local.Reasons[uid].Reason}
		if since := local.Reasons[uid].Since; !since.IsZero() {
			veto.AgeSeconds = max(0, time.Since(since).Seconds())
		}
		all.Vetoes = append(all.Vetoes, veto)
	}
	for _, e := range traffic.Ejections() {
		all.Ejections = append(all.Ejections, httpapi.Ejection{
			Pool: e.Pool, Name: e.Name, UID: e.UID, Reason: e.Reason,
			AgeSeconds: e.Since.Seconds(), LeftSeconds: e.For.Seconds(),
		})
	}
	return all
}

// uses are those of one pool's backends, or of the one with that UID.
func uses(traffic *balancer.Balancer, pool, uid string) []httpapi.Use {
	all := traffic.Uses(pool, uid)
	var list []httpapi.Use
	for _, of := range slices.Sorted(maps.Keys(all)) {
		list = append(list, httpapi.Use{UID: of, Use: string(all[of])})
	}
	return list
}

// opinions are those of one pool's backends, or of the one with that UID.
func opinions(observer *health.Observer, pool, uid string) []httpapi.Opinion {
	var all []httpapi.Opinion
	for _, o := range observer.OpinionsOf(pool, uid) {
		opinion := httpapi.Opinion{
			Pool: o.Pool, Name: o.Name, UID: o.UID, Health: o.Health, Run: o.Run, Error: o.Reason, Void: o.Void,
			LastError: o.LastError, Evidence: o.Evidence, WeightError: o.WeightError, LatencySeconds: time.Duration(o.Latency).Seconds(),
		}
		if !o.At.IsZero() {
			age := time.Duration(o.Age).Seconds()
			opinion.AgeSeconds = &age
		}
		all = append(all, opinion)
	}
	return all
}

// signals are the counters of what leads to verdicts. Of a witness, whose data is
// nil, they are those between nodes and of verdicts alone.
func signals(node *cluster.Node, data *dataPath, seen *transitions) httpapi.Signals {
	messages, status := node.Messages(), node.Status()
	all := httpapi.Signals{
		Transitions: seen.counts(),
		Messages: map[string]uint64{
			"sent": messages.Sent, "unsent": messages.Unsent, "received": messages.Received,
			"unknown": messages.Unknown, "faulty": messages.Faulty, "excess": messages.Excess,
		},
		Votes: map[string]uint64{"ignored": status.VotesIgnored}, VoteRefusals: status.VotesRefused,
	}
	if data == nil {
		return all
	}
	counted := data.observer.Counters()
	all.Evidence = map[string]uint64{
		"met": data.evidence.met.Load(), "received": data.evidence.received.Load(), "faulty": data.evidence.faulty.Load(),
		"ignored": counted.EvidenceIgnored, "dropped": counted.EvidenceDropped,
	}
	all.Votes["proposed"] = counted.Votes
	all.VoteFailures = counted.CommandsFailed
	return all
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
