package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"evenkeel/balancer"
	"evenkeel/cluster"
	"evenkeel/cmd/evenkeel/config"
)

// readyPoll paces the look for readiness; nothing else tells of listeners that
// have opened.
const readyPoll = 20 * time.Millisecond

// announcer logs the moments of a node's life that its operator waits for.
type announcer struct {
	options *config.Config
	node    *cluster.Node
	data    *dataPath
	api     net.Addr
	log     *slog.Logger
}

// run announces start, readiness and, when ctx ends, the stop.
func (a *announcer) run(ctx context.Context) error {
	a.log.Info("starting", "name", a.node.Name(), "uid", a.node.UID(), "data", a.options.DataDir,
		"api", a.url(), "cluster", a.node.Addr().String())
	if a.options.Secrets.LoopbackOnly() {
		a.log.Info("the cluster port is on loopback only, because no secret protects it; " +
			"to join other machines make one with `evenkeel secret` and give it to every node with --secret-file")
	}
	if a.options.InsecureAPI {
		a.log.Warn("whoever reaches the API may change everything, as --insecure-api says", "api", a.options.APIAddr)
	}
	if a.options.APIIsOpen() && !a.options.APIOverTLS() {
		a.log.Info("the API is in clear text, tokens too; --api-tls=cluster or --api-tls-cert protect it", "api", a.options.APIAddr)
	}
	a.awaitReady(ctx)
	<-ctx.Done()
	if a.data == nil {
		a.log.Info("stopping: a second signal ends at once")
		return nil
	}
	a.log.Info("stopping: readiness is off, requests may finish, a second signal ends at once", "drain-timeout", a.options.DrainTimeout.String())
	return nil
}

// url returns where a client on this machine reaches the API.
func (a *announcer) url() string {
	scheme := "http://"
	if a.options.APIOverTLS() {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(a.api.String())
	if err != nil || !isUnspecified(host) {
		return scheme + a.api.String()
	}
	return scheme + net.JoinHostPort("127.0.0.1", port)
}

func (a *announcer) awaitReady(ctx context.Context) {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !a.isReady() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	if a.data == nil {
		a.log.Info("this node takes part as a witness: it takes no traffic", "name", a.node.Name(), "api", a.url(), "cluster", a.node.Addr().String())
		return
	}
	a.log.Info("ready", "name", a.node.Name(), "api", a.url(),
		"cluster", a.node.Addr().String(), "listeners", describeListeners(a.data.traffic.Listeners()))
}

// isReady tells of a witness whether it has caught up with the cluster.
func (a *announcer) isReady() bool {
	if a.data == nil {
		return a.node.Status().Confirmed
	}
	return a.data.traffic.Ready()
}

// describeListeners returns all listeners as text, such as
// "default on [::]:8080, other on :80 failed (permission denied)".
func describeListeners(all map[string]balancer.ListenerStatus) string {
	var texts []string
	for name, status := range all {
		text := fmt.Sprintf("%s on %s", name, status.Address)
		if status.Error != "" {
			text += fmt.Sprintf(" %s (%s)", status.State, status.Error)
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}
