package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// maxListed is how many backends a status shows one by one. Of a larger
// registry it shows the pools, and the backends that take no traffic.
const maxListed = 20

// oldSeconds is from when on the age of what a node shows is worth a line: one
// that follows a leader hears from it many times a second.
const oldSeconds = 2

// clusterDoc is what the API says of the cluster.
type clusterDoc struct {
	ID       string `json:"id"`
	Leader   string `json:"leader"`
	Quorum   bool   `json:"quorum"`
	Revision uint64 `json:"revision"`
	// FeatureLevel is 0 on a node that does not say.
	FeatureLevel uint64 `json:"feature_level"`
	Confirmed    *bool  `json:"confirmed"`
	Detached     string `json:"detached"`
	// AgeSeconds is how old all this may be; nil on a node that does not say.
	AgeSeconds *float64 `json:"age_seconds"`
}

// nodeDoc is what the API says of one node.
type nodeDoc struct {
	Name            string  `json:"name"`
	UID             string  `json:"uid"`
	Role            string  `json:"role"`
	State           string  `json:"state"`
	ClusterAddr     string  `json:"cluster_addr"`
	APIAddr         string  `json:"api_addr"`
	Version         string  `json:"version"`
	FeatureLevel    *uint64 `json:"feature_level"`
	Witness         bool    `json:"witness"`
	AppliedRevision *uint64 `json:"applied_revision"`
	Detached        string  `json:"detached"`
}

// items is a list of the API whose elements are read.
type items[T any] struct {
	Items []T `json:"items"`
}

func (a *App) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "show the cluster, its nodes and its backends' health, as one node sees them",
		Args: exactArgs(0),
	}
	conn, f := a.connectFlags(cmd, timeout), formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		s := &status{}
		if s.clusterAnswer, err = get(cmd.Context(), c, "/v1/cluster", &s.cluster); err != nil {
			return err
		}
		// The parts must be of one node.
		c = c.At(s.clusterAnswer.Base)
		// Who is limited to some objects is not told the members.
		if s.nodesAnswer, err = get(cmd.Context(), c, "/v1/nodes", &s.nodes); err != nil && !client.IsForbidden(err) {
			return err
		}
		if s.backendsAnswer, err = get(cmd.Context(), c, "/v1/backends", &s.backends); err != nil {
			return err
		}
		if *f != formatTable {
			return s.printData(a.Out, *f)
		}
		return s.print(a.Out)
	}
	return cmd
}

// status is what one node says of everything.
type status struct {
	// nodesAnswer is nil if the token may not see the nodes.
	clusterAnswer, nodesAnswer, backendsAnswer *client.Answer

	cluster  clusterDoc
	nodes    items[nodeDoc]
	backends items[*fsm.Backend]
}

func (s *status) printData(w io.Writer, f format) error {
	doc := struct {
		Cluster  json.RawMessage `json:"cluster"`
		Nodes    json.RawMessage `json:"nodes,omitempty"`
		Backends json.RawMessage `json:"backends"`
	}{Cluster: s.clusterAnswer.Body, Backends: s.backendsAnswer.Body}
	if s.nodesAnswer != nil {
		doc.Nodes = s.nodesAnswer.Body
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	return printData(w, f, data)
}

func (s *status) print(w io.Writer) error {
	for _, part := range []func(io.Writer) error{s.printCluster, s.printNodes, s.printBackends} {
		if err := part(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *status) printCluster(w io.Writer) error {
	node := s.clusterAnswer.Header.Get("X-Evenkeel-Node")
	rows := &table{head: []string{"cluster", s.cluster.ID}}
	rows.add("leader", orNone(s.cluster.Leader))
	rows.add("quorum", s.quorum())
	rows.add("revision", strconv.FormatUint(s.cluster.Revision, 10))
	if level := s.cluster.FeatureLevel; level > 0 {
		rows.add("level", strconv.FormatUint(level, 10)+whyBelow(level, s.nodes.Items))
	}
	if age := s.cluster.AgeSeconds; age != nil && *age >= oldSeconds {
		rows.add("as of", fmt.Sprintf("%s ago", time.Duration(*age*float64(time.Second)).Round(time.Second)))
	}
	rows.add("seen by", fmt.Sprintf("%s at %s", orNone(node), s.clusterAnswer.Base))
	if s.cluster.Detached != "" {
		rows.add("detached", s.cluster.Detached)
	}
	return rows.print(w)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// quorum says what the absence of a quorum means to a user.
func (s *status) quorum() string {
	switch {
	case s.cluster.Quorum:
		return "yes"
	case s.cluster.ID == "":
		return "no: the cluster is not formed yet, this node waits for the others"
	case s.cluster.Confirmed != nil && !*s.cluster.Confirmed:
		return "no: changes are refused, traffic is served by the last state on this node's disk"
	}
	return "no: changes are refused, traffic is served by the last state"
}

func (s *status) printNodes(w io.Writer) error {
	fmt.Fprintln(w)
	if s.nodesAnswer == nil {
		_, err := fmt.Fprintln(w, "the token is limited to some objects, so the nodes are not told")
		return err
	}
	return nodeTable(s.nodes.Items).print(w)
}

func nodeTable(nodes []nodeDoc) *table {
	rows := &table{head: []string{"NODE", "ROLE", "STATE", "API", "CLUSTER", "VERSION", "LEVEL", "REVISION"}}
	for _, n := range nodes {
		level, revision := "", "no answer"
		if n.FeatureLevel != nil {
			level = strconv.FormatUint(*n.FeatureLevel, 10)
		}
		if n.AppliedRevision != nil {
			revision = strconv.FormatUint(*n.AppliedRevision, 10)
		}
		state := n.State
		if n.Detached != "" {
			state += ": " + n.Detached
		}
		role := n.Role
		if n.Witness && role != "witness" {
			role += ", witness"
		}
		rows.add(n.Name, role, state, n.APIAddr, n.ClusterAddr, n.Version, level, revision)
	}
	return rows
}

// whyBelow says what the cluster waits for while a node supports more than its
// feature level.
func whyBelow(level uint64, nodes []nodeDoc) string {
	for _, n := range nodes {
		if n.FeatureLevel != nil && *n.FeatureLevel > level {
			return ", which rises once every node has a higher one, dead nodes too"
		}
	}
	return ""
}

func (s *status) printBackends(w io.Writer) error {
	fmt.Fprintln(w)
	all := s.backends.Items
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no backends; add one with: evenkeel backend add HOST:PORT")
		return err
	}
	if len(all) <= maxListed {
		return backendTable(all).print(w)
	}
	if err := poolTable(all).print(w); err != nil {
		return err
	}
	idle := idleBackends(all)
	if len(idle) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%d backends take no new traffic\n", len(idle))
	if err := backendTable(idle[:min(len(idle), maxListed)]).print(w); err != nil || len(idle) <= maxListed {
		return err
	}
	_, err := fmt.Fprintf(w, "and %d more, see: evenkeel backend ls\n", len(idle)-maxListed)
	return err
}

func backendTable(backends []*fsm.Backend) *table {
	rows := &table{head: []string{"POOL", "BACKEND", "ADDRESS", "WEIGHT", "ADMIN", "HEALTH", "VOTES"}}
	for _, b := range backends {
		rows.add(b.Pool, b.Name, b.Spec.Address, strconv.Itoa(b.Spec.Weight),
			describeAdmin(b), describeHealth(b), votes(b.Status.Votes))
	}
	return rows
}

// poolTable counts the backends of each pool. The API lists them by pool.
func poolTable(backends []*fsm.Backend) *table {
	rows := &table{head: []string{"POOL", "BACKENDS", "UP", "DOWN", "UNKNOWN", "NOT READY"}}
	for len(backends) > 0 {
		pool, count, notReady := backends[0].Pool, 0, 0
		health := map[fsm.Health]int{}
		for _, b := range backends {
			if b.Pool != pool {
				break
			}
			count++
			health[b.Status.Effective()]++
			if b.Spec.AdminState != fsm.AdminReady {
				notReady++
			}
		}
		rows.add(pool, strconv.Itoa(count), strconv.Itoa(health[fsm.HealthUp]), strconv.Itoa(health[fsm.HealthDown]),
			strconv.Itoa(health[fsm.HealthUnknown]), strconv.Itoa(notReady))
		backends = backends[count:]
	}
	return rows
}

// idleBackends returns those that are down or that an operator took out.
func idleBackends(backends []*fsm.Backend) []*fsm.Backend {
	var idle []*fsm.Backend
	for _, b := range backends {
		if b.Status.Effective() == fsm.HealthDown || b.Spec.AdminState != fsm.AdminReady || b.Spec.Weight == 0 {
			idle = append(idle, b)
		}
	}
	return idle
}
