package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"evenkeel/balancer"
	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/cli"
	"evenkeel/cmd/evenkeel/config"
	"evenkeel/health"
	"evenkeel/httpapi"
)

// serve runs a node until ctx ends.
func serve(ctx context.Context, options *config.Config, log *slog.Logger) error {
	for _, warning := range options.Warnings {
		log.Warn(warning)
	}
	version := cli.ReadBuild().Version
	apiListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", options.APIAddr)
	if err != nil {
		return fmt.Errorf("open api: %w; choose another address with --api-addr", err)
	}
	defer apiListener.Close() // twice is harmless; its Serve may never run

	var api *httpapi.API // made last, and asked only once the node runs
	node, err := cluster.Open(cluster.Config{
		Name: options.Name, DataDir: options.DataDir,
		Bind: options.ClusterAddr, Advertise: options.Advertise, APIAddr: apiAddress(options, apiListener.Addr()),
		Join: options.Join, BootstrapExpect: options.BootstrapExpect, RemoveDeadAfter: options.RemoveDeadAfter,
		Secrets: options.Secrets, Profile: options.Profile, Version: version,
		Report: func() any { return api.Report() },
		Logger: log.With("part", "cluster"),
	})
	if err != nil {
		return err
	}
	traffic, err := balancer.New(balancer.Config{
		Loops: options.Loops, Nice: options.BackgroundNice, Zone: options.Zone, StickyKeys: options.Secrets.StickyKeys(),
		Bind: options.Bind, ListenerAddrs: options.ListenerAddrs,
		DrainTimeout: options.DrainTimeout, Logger: log.With("part", "balancer"),
	})
	if err != nil {
		return err
	}
	observer := health.New(health.Config{Self: node.UID(), Version: version, Logger: log.With("part", "health")})
	api = httpapi.New(httpapi.Config{
		Cluster: node, NodeName: options.Name, Version: version,
		AdminToken: string(options.AdminToken), Insecure: options.InsecureAPI,
		Listeners: func() map[string]httpapi.ListenerStatus { return listeners(traffic) },
		NotReady:  func() []string { return notReady(ctx, traffic) },
		Traffic:   func() httpapi.Traffic { return counters(traffic) },
		Probes:    func() httpapi.ProbeCount { return probes(observer) },
		Refused:   node.Refused,
		Logger:    log.With("part", "api"),
	})
	announced := &announcer{options: options, node: node, traffic: traffic, api: apiListener.Addr(), log: log}

	// The order is that of the stop: no traffic is taken and none is cut while
	// the node still knows of changes, and the API answers to the end.
	return runStages(ctx,
		stage{"announcement", announced.run},
		stage{"balancer", func(ctx context.Context) error { return traffic.Run(ctx, node) }},
		stage{"health", func(ctx context.Context) error { return observer.Run(ctx, node, node) }},
		stage{"cluster", node.Run},
		stage{"api", func(ctx context.Context) error {
			return httpapi.Serve(ctx, api.Listener(apiListener), api.Handler(), log.With("part", "api"))
		}},
	)
}
