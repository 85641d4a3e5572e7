package main

import (
	"context"
	"log/slog"

	"evenkeel/balancer"
	"evenkeel/balancer/table"
	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/config"
	"evenkeel/fsm"
	"evenkeel/health"
	"evenkeel/httpapi"
)

// dataPath is what a node does for traffic. A witness has none: nil, of which
// every method may be called.
type dataPath struct {
	traffic  *balancer.Balancer
	observer *health.Observer
	evidence *evidence
}

func newDataPath(options *config.Config, node *cluster.Node, version string, log *slog.Logger) (*dataPath, error) {
	if options.Witness {
		return nil, nil
	}
	observer := health.New(health.Config{
		Self: node.UID(), Version: version, Logger: log.With("part", "health"),
		Connected: func() bool { return node.Status().Quorum },
	})
	evidence := &evidence{node: node, observer: observer}
	traffic, err := balancer.New(balancer.Config{
		Self: node.UID(), Loops: options.Loops, Nice: options.BackgroundNice, Zone: options.Zone, StickyKeys: options.Secrets.StickyKeys(),
		Bind: options.Bind, ListenerAddrs: options.ListenerAddrs,
		DrainTimeout: options.DrainTimeout, Logger: log.With("part", "balancer"),
		Evidence: evidence.meet,
		Keys:     node.Keys(),
		Local: func() (map[string]fsm.Health, <-chan struct{}) {
			local, replaced := observer.WatchLocal()
			return local.Health, replaced
		},
	})
	if err != nil {
		return nil, err
	}
	node.Hear(topicEvidence, evidence.hear)
	return &dataPath{traffic, observer, evidence}, nil
}

// stages are those of the data path, in the order of the stop.
func (d *dataPath) stages(node *cluster.Node) []stage {
	if d == nil {
		return nil
	}
	return []stage{
		{"balancer", func(ctx context.Context) error { return d.traffic.Run(ctx, node) }},
		{"drains", func(ctx context.Context) error { return d.traffic.ReportDrains(ctx, node, node) }},
		{"health", func(ctx context.Context) error { return d.observer.Run(ctx, node, node) }},
	}
}

func (d *dataPath) listeners() map[string]httpapi.ListenerStatus {
	if d == nil {
		return nil
	}
	return listeners(d.traffic)
}

func (d *dataPath) counters() httpapi.Traffic {
	if d == nil {
		return httpapi.Traffic{}
	}
	return counters(d.traffic)
}

// serving is up to which revision requests find what was written; nil of a witness.
func (d *dataPath) serving() func() uint64 {
	if d == nil {
		return nil
	}
	return d.traffic.Served
}

func (d *dataPath) probes() httpapi.ProbeCount {
	if d == nil {
		return httpapi.ProbeCount{}
	}
	return probes(d.observer)
}

// local is what this node by itself says of backends.
func (d *dataPath) local() httpapi.LocalHealth {
	if d == nil {
		return httpapi.LocalHealth{}
	}
	return localHealth(d.observer, d.traffic)
}

// explain is what this node would do with a request; nil if it takes none.
func (d *dataPath) explain(node string, q httpapi.ExplainQuery) any {
	if d == nil {
		return nil
	}
	e := d.traffic.Explain(&balancer.Inquiry{
		Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target, Fields: q.Fields, Client: q.Client, Listener: q.Listener,
	})
	e.Node = node
	local, _ := d.observer.WatchLocal()
	e.Reasons(table.UseVeto, func(uid string) string { return local.Reasons[uid].Reason })
	return e
}

// notReady returns why no traffic should be sent to this node. ctx is the one
// whose end stops it.
func (d *dataPath) notReady(ctx context.Context) []string {
	switch {
	case ctx.Err() != nil:
		return []string{"the node is stopping"}
	case d == nil:
		return []string{"the node is a witness, which takes no traffic"}
	case !d.traffic.Ready():
		return []string{"the node has no state to serve yet; it starts, or waits for its cluster"}
	}
	return nil
}
