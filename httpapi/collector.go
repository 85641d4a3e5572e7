package httpapi

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"evenkeel/fsm"
)

// collector reads the cluster, the registry and the data path when it is
// asked. Labels name objects of the registry and members only, whose numbers
// are bounded, and a series ends with its object.
type collector struct {
	api   *API
	descs map[string]*prometheus.Desc
}

type metric struct {
	name, help string
	labels     []string
}

// series are the names, helps and labels of all that the collector emits.
var series = [...]metric{
	{"cluster_leader", "1 if this node leads the cluster.", nil},
	{"cluster_quorum", "1 if this node knows a leader with a quorum.", nil},
	{"cluster_term", "Raft's term; it grows with each election.", nil},
	{"cluster_detached", "1 if this node takes no part in the cluster any more.", nil},
	{"cluster_nodes", "Members as this node sees them.", []string{"state"}},
	{"votes_ignored_total", "Votes in the log that did not count: of a node that does not observe, or about what is registered or checked otherwise by now.", nil},
	{"votes_refused_total", "Commands with votes that this node, as the leader, refused other nodes: too many, or in the name of others.", nil},
	{"registry_revision", "Accepted changes of labels and specs.", nil},
	{"registry_version", "Accepted changes of anything.", nil},
	{"registry_objects", "Objects in the registry.", []string{"kind"}},
	{"backends", "Backends by agreed health.", []string{"pool", "health"}},
	{"backend_health", "What the backend is taken for: 1 is up, 0 down, -1 unknown.", []string{"pool", "backend"}},
	{"backend_flaps", "Times that the pool's backends went down, less what has decayed.", []string{"pool"}},
	{"backend_transitions_total", "Verdicts that changed, by what they became.", []string{"health"}},
	{"backends_ejected", "Backends that this node keeps requests from because of those that failed.", []string{"pool"}},
	{"backends_vetoed", "Backends that this node avoids because its own probes fail.", nil},
	{"evidence_total", "What requests met that speaks against a backend, by what became of it.", []string{"result"}},
	{"votes_total", "Votes about backends, by what became of them.", []string{"result"}},
	{"vote_failures_total", "Commands with votes of this node that met an error.", nil},
	{"vote_refusals_total", "Commands with votes of other nodes that this one refused.", nil},
	{"cluster_messages_total", "Short messages between nodes, by what became of them.", []string{"result"}},
	{"listener_up", "1 if this node listens.", []string{"listener"}},
	{"listener_connections", "Open client connections.", []string{"listener"}},
	{"listener_requests_total", "Requests received, or connections where those are forwarded.", []string{"listener"}},
	{"listener_requests_active", "Requests, or forwarded connections, that are not done.", []string{"listener"}},
	{"listener_errors_total", "Requests and connections that did not end well.", []string{"listener", "reason"}},
	{"listener_http2_requests_total", "Requests received over HTTP/2.", []string{"listener"}},
	{"listener_connections_total", "Client connections by what they speak, those of http1 from their first request on.", []string{"listener", "protocol"}},
	{"listener_tls_handshakes_total", "TLS handshakes with clients that were done: in full, or of a session that was resumed.", []string{"listener", "kind"}},
	{"listener_tls_handshake_failures_total", "TLS handshakes with clients that came to nothing.", []string{"listener", "reason"}},
	{"certificate_expiry_timestamp_seconds", "When the certificate ends, or one of its chain that ends sooner, in seconds since 1970.", []string{"certificate"}},
	{"listener_received_bytes_total", "Bytes of request bodies, tunnels and forwarded connections.", []string{"listener"}},
	{"listener_sent_bytes_total", "Bytes of response bodies, tunnels and forwarded connections.", []string{"listener"}},
	{"backend_in_flight", "Requests sent by this node that are not done.", []string{"pool", "backend"}},
	{"backend_requests_total", "Attempts by this node.", []string{"pool", "backend"}},
	{"backend_connect_failures_total", "Attempts that got no connection.", []string{"pool", "backend"}},
	{"backend_failures_total", "Attempts that got a connection and no complete response.", []string{"pool", "backend"}},
	{"backend_ejections_total", "Times that this node ejected the backend for what its requests met.", []string{"pool", "backend"}},
	{"backend_responses_total", "Responses by class.", []string{"pool", "backend", "class"}},
	{"probes_total", "Probes by this node.", []string{"result"}},
	{"cluster_refused_total", "Connections and packets at the cluster port that were not let in.", []string{"reason"}},
}

func newCollector(a *API) *collector {
	c := &collector{api: a, descs: map[string]*prometheus.Desc{}}
	for _, s := range series {
		c.descs[s.name] = prometheus.NewDesc("evenkeel_"+s.name, s.help, s.labels, nil)
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		out <- desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	e := emitter{descs: c.descs, out: out}
	c.collectCluster(e)
	c.collectRegistry(e)
	c.collectHealth(e)
	c.collectListeners(e)
	c.collectTraffic(e)
}

type emitter struct {
	descs map[string]*prometheus.Desc
	out   chan<- prometheus.Metric
}

func (e emitter) gauge(name string, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(e.descs[name], prometheus.GaugeValue, value, labels...)
}

func (e emitter) count(name string, value uint64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(e.descs[name], prometheus.CounterValue, float64(value), labels...)
}

func (e emitter) flag(name string, set bool, labels ...string) {
	value := 0.0
	if set {
		value = 1
	}
	e.gauge(name, value, labels...)
}

func (c *collector) collectCluster(e emitter) {
	cluster := c.api.config.Cluster
	status := cluster.Status()
	e.flag("cluster_leader", status.LeaderUID != "" && status.LeaderUID == cluster.UID())
	e.flag("cluster_quorum", status.Quorum)
	e.gauge("cluster_term", float64(status.Term))
	e.flag("cluster_detached", status.Detached != "")
	e.count("votes_ignored_total", status.VotesIgnored)
	e.count("votes_refused_total", status.VotesRefused)
	states := map[string]int{"alive": 0, "suspect": 0, "dead": 0, "left": 0, "detached": 0}
	for _, member := range cluster.Members() {
		states[member.State]++
	}
	for state, number := range states {
		e.gauge("cluster_nodes", float64(number), state)
	}
}

func (c *collector) collectRegistry(e emitter) {
	s := c.api.config.Cluster.State()
	e.gauge("registry_revision", float64(s.Revision()))
	e.gauge("registry_version", float64(s.Version()))
	for _, res := range c.api.resources {
		e.gauge("registry_objects", float64(s.Count(res.kind)), string(res.kind))
	}
	for certificate := range s.Certificates() {
		if _, until, ok := c.api.chains.of(s, certificate).valid(); ok {
			e.gauge("certificate_expiry_timestamp_seconds", float64(until.Unix()), certificate.Name)
		}
	}
	for pool := range s.Pools() {
		health := map[fsm.Health]int{fsm.HealthUnknown: 0, fsm.HealthUp: 0, fsm.HealthDown: 0}
		flaps := 0
		for backend := range s.PoolBackends(pool.Name) {
			health[backend.Status.Health]++
			flaps += backend.Status.Flaps
			e.gauge("backend_health", healthValue(backend.Status.Effective()), pool.Name, backend.Name)
		}
		e.gauge("backend_flaps", float64(flaps), pool.Name)
		for verdict, number := range health {
			e.gauge("backends", float64(number), pool.Name, string(verdict))
		}
	}
}

func healthValue(health fsm.Health) float64 {
	switch health {
	case fsm.HealthUp:
		return 1
	case fsm.HealthDown:
		return 0
	}
	return -1
}

// collectHealth is what this node by itself says and does about backends.
func (c *collector) collectHealth(e emitter) {
	if c.api.config.Health != nil {
		local, ejected := c.api.config.Health(), map[string]int{}
		for pool := range c.api.config.Cluster.State().Pools() {
			ejected[pool.Name] = 0
		}
		for _, ejection := range local.Ejections {
			ejected[ejection.Pool]++
		}
		for pool, number := range ejected {
			e.gauge("backends_ejected", float64(number), pool)
		}
		vetoed := 0
		for _, veto := range local.Vetoes {
			if veto.Health == fsm.HealthDown {
				vetoed++
			}
		}
		e.gauge("backends_vetoed", float64(vetoed))
	}
	if c.api.config.Signals == nil {
		return
	}
	signals := c.api.config.Signals()
	for health, number := range signals.Transitions {
		e.count("backend_transitions_total", number, string(health))
	}
	for name, counts := range map[string]map[string]uint64{
		"evidence_total": signals.Evidence, "votes_total": signals.Votes, "cluster_messages_total": signals.Messages,
	} {
		for result, number := range counts {
			e.count(name, number, result)
		}
	}
	e.count("vote_failures_total", signals.VoteFailures)
	e.count("vote_refusals_total", signals.VoteRefusals)
}

func (c *collector) collectListeners(e emitter) {
	if c.api.config.Listeners == nil {
		return
	}
	for name, status := range c.api.config.Listeners() {
		e.flag("listener_up", status.State == "listening", name)
	}
}

func (c *collector) collectTraffic(e emitter) {
	if c.api.config.Traffic != nil {
		s, traffic := c.api.config.Cluster.State(), c.api.config.Traffic()
		for _, l := range traffic.Listeners {
			e.listener(l)
			if object := s.Listener(l.Name); object != nil && object.Spec.Protocol == fsm.ProtocolHTTPS {
				e.handshakes(l)
			}
		}
		for _, b := range summed(traffic.Backends) {
			e.backend(b)
		}
	}
	if c.api.config.Probes != nil {
		probes := c.api.config.Probes()
		e.count("probes_total", probes.Passed, "passed")
		e.count("probes_total", probes.Failed, "failed")
		e.count("probes_total", probes.Void, "void")
	}
	if c.api.config.Refused != nil {
		for reason, number := range c.api.config.Refused() {
			e.count("cluster_refused_total", number, reason)
		}
	}
}

func (e emitter) listener(l ListenerTraffic) {
	e.gauge("listener_connections", float64(l.Connections), l.Name)
	e.gauge("listener_requests_active", float64(l.Active), l.Name)
	e.count("listener_requests_total", l.Requests, l.Name)
	for reason, number := range l.errors() {
		e.count("listener_errors_total", number, l.Name, reason)
	}
	e.count("listener_http2_requests_total", l.HTTP2, l.Name)
	for protocol, number := range l.Spoken {
		e.count("listener_connections_total", number, l.Name, protocol)
	}
	e.count("listener_received_bytes_total", l.BytesIn, l.Name)
	e.count("listener_sent_bytes_total", l.BytesOut, l.Name)
}

// handshakes is for a listener that speaks TLS.
func (e emitter) handshakes(l ListenerTraffic) {
	e.count("listener_tls_handshakes_total", l.FullHandshakes, l.Name, "full")
	e.count("listener_tls_handshakes_total", l.Resumed, l.Name, "resumed")
	for reason, number := range l.BadHandshakes {
		e.count("listener_tls_handshake_failures_total", number, l.Name, reason)
	}
}

func (e emitter) backend(b BackendTraffic) {
	e.gauge("backend_in_flight", float64(b.InFlight), b.Pool, b.Name)
	e.count("backend_requests_total", b.Requests, b.Pool, b.Name)
	e.count("backend_connect_failures_total", b.ConnectFailures, b.Pool, b.Name)
	e.count("backend_failures_total", b.Failures, b.Pool, b.Name)
	e.count("backend_ejections_total", b.Ejections, b.Pool, b.Name)
	for class, number := range b.Responses {
		label := strconv.Itoa(class) + "xx"
		if class == 0 {
			label = "other"
		}
		e.count("backend_responses_total", number, b.Pool, b.Name, label)
	}
}

// summed adds up registrations of one name: a backend that was deleted and
// made again still has requests in flight under its former identity, and two
// series with the same labels would spoil the whole answer.
func summed(backends []BackendTraffic) map[[2]string]BackendTraffic {
	sums := make(map[[2]string]BackendTraffic, len(backends))
	for _, b := range backends {
		key := [2]string{b.Pool, b.Name}
		sum := sums[key]
		b.InFlight += sum.InFlight
		b.Requests += sum.Requests
		b.ConnectFailures += sum.ConnectFailures
		b.Failures += sum.Failures
		b.Ejections += sum.Ejections
		for class := range b.Responses {
			b.Responses[class] += sum.Responses[class]
		}
		sums[key] = b
	}
	return sums
}
