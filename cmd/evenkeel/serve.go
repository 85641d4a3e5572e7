package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/cli"
	"evenkeel/cmd/evenkeel/config"
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
		Join: options.Join, BootstrapExpect: options.BootstrapExpect,
		Witness: options.Witness, RemoveDeadAfter: options.RemoveDeadAfter,
		Secrets: options.Secrets, Profile: options.Profile, Version: version,
		Report: func() any { return api.Report() },
		Logger: log.With("part", "cluster"),
	})
	if err != nil {
		return err
	}
	data, err := newDataPath(options, node, version, log)
	if err != nil {
		return err
	}
	seen := &transitions{}
	api = httpapi.New(httpapi.Config{
		Cluster: node, Sealer: node.Keys(), NodeName: options.Name, Version: version,
		AdminToken: string(options.AdminToken), BootstrapTokens: options.Secrets.BootstrapHashes(),
		Insecure: options.InsecureAPI, TokenNeeded: options.APIIsOpen() && !options.InsecureAPI,
		Listeners: data.listeners, Traffic: data.counters, Probes: data.probes,
		NotReady: func() []string { return data.notReady(ctx) },
		Refused:  node.Refused,
		Health:   data.local,
		Explain:  func(q httpapi.ExplainQuery) any { return data.explain(options.Name, q) },
		Serving:  data.serving(),
		Signals:  func() httpapi.Signals { return signals(node, data, seen) },
		Logger:   log.With("part", "api"),
	})
	node.Answer(httpapi.TopicHealth, api.AnswerHealth)
	webListener, renewal, err := overTLS(options, node, apiListener, log.With("part", "api"))
	if err != nil {
		return err
	}
	node.Answer(httpapi.TopicServing, api.AnswerServing)
	announced := &announcer{options: options, node: node, data: data, api: apiListener.Addr(), log: log}

	// The order is that of the stop: no traffic is taken and none is cut while
	// the node still knows of changes, and the API answers to the end.
	stages := append([]stage{{"announcement", announced.run}}, data.stages(node)...)
	return runStages(ctx, append(stages,
		stage{"transitions", func(ctx context.Context) error { return seen.run(ctx, node) }},
		stage{"cluster", node.Run},
		stage{"api", func(ctx context.Context) error {
			return httpapi.Serve(ctx, api.Listener(webListener), api.Handler(), log.With("part", "api"))
		}},
		stage{"api certificate", renewal},
		stage{"collector", paceCollector},
	)...)
}
