package httpapi

import (
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"evenkeel/fsm"
)

// Traffic is the data path's counters on this node.
type Traffic struct {
	Listeners []ListenerTraffic
	Backends  []BackendTraffic
}

// ListenerTraffic counts what came in through one listener.
type ListenerTraffic struct {
	Name string
	// Connections is the number of open client connections, Active that of
	// requests that are not done.
	Connections, Active int64
	// Requests counts all requests. Of those, no route matched the Unrouted,
	// the Unavailable found no usable backend, BadGateway and Timeout had one
	// that failed them, the Refused were faulty themselves, the client went
	// away from the ClientLeft, and the Panics are Evenkeel's own failures. At a
	// listener that forwards connections each of those is a request.
	Requests, Unrouted, Unavailable, BadGateway, Timeout, Refused, ClientLeft, Panics uint64
	// ProxyHeader and Hello count connections that were closed before any request:
	// they did not begin with the PROXY header, or TLS hello, that they have to.
	ProxyHeader, Hello uint64
	// HTTP2Floods and HTTP2Faults count connections of HTTP/2 that were closed for
	// their clients' floods, and other faults.
	HTTP2Floods, HTTP2Faults uint64
	// HTTP2 counts the requests that came over HTTP/2, Spoken the connections by what
	// they spoke.
	HTTP2  uint64
	Spoken map[string]uint64
	// FullHandshakes and Resumed count those of TLS that were done, in full or of a
	// session that there was; BadHandshakes those that failed, by a word for the reason.
	FullHandshakes, Resumed uint64
	BadHandshakes           map[string]uint64
	// BytesIn and BytesOut are of bodies, tunnels and forwarded connections, from
	// and to clients.
	BytesIn, BytesOut uint64
}

// errors returns what did not end well, by a word for the reason.
func (l ListenerTraffic) errors() map[string]uint64 {
	return map[string]uint64{
		"no_route": l.Unrouted, "no_backend": l.Unavailable, "bad_gateway": l.BadGateway, "timeout": l.Timeout,
		"refused": l.Refused, "client_left": l.ClientLeft, "panic": l.Panics,
		"proxy_header": l.ProxyHeader, "tls_hello": l.Hello,
		"http2_flood": l.HTTP2Floods, "http2_fault": l.HTTP2Faults,
	}
}

// BackendTraffic counts what went to one backend.
type BackendTraffic struct {
	Pool, Name string
	// InFlight is the number of requests that are not done.
	InFlight int64
	// Requests counts attempts, ConnectFailures those without a connection,
	// Failures those with one and no complete response.
	Requests, ConnectFailures, Failures uint64
	// Ejections counts how often this node ejected the backend.
	Ejections uint64
	// Responses are by class: 1 to 5 for 1xx to 5xx, 0 for other codes.
	Responses [6]uint64
}

// ProbeCount counts probes by this node. Void ones told nothing about their
// backend, because the node itself could not probe.
type ProbeCount struct {
	Passed, Failed, Void uint64
}

// Signals counts, since the process began, what leads to verdicts and comes of
// them on this node.
type Signals struct {
	// Transitions are verdicts that changed, by what they became.
	Transitions map[fsm.Health]uint64
	// Evidence is by what became of it: "met" by this node's own requests,
	// "received" from other nodes, "faulty" if it could not be read; of both,
	// "ignored" if about no backend that is there, "dropped" if there was too much.
	Evidence map[string]uint64
	// Messages are those between nodes, by what became of them.
	Messages map[string]uint64
	// Votes are by what became of them: "proposed" by this node, and of any node
	// "ignored", since they did not count.
	Votes map[string]uint64
	// VoteFailures are commands with votes of this node that met an error or a
	// refusal, VoteRefusals those of other nodes that this one refused.
	VoteFailures, VoteRefusals uint64
}

// metrics is the registry behind /metrics. It is the API's own, so that two
// nodes in one process do not meet in it.
type metrics struct {
	registry     *prometheus.Registry
	requests     *prometheus.CounterVec
	answers      sync.Map // of what requests has counted, answerKind to prometheus.Counter
	loginsFailed prometheus.Counter
	watchDrops   *prometheus.CounterVec
}

func newMetrics(a *API) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evenkeel_api_requests_total", Help: "Requests that the API answered.",
		}, []string{"method", "code"}),
		loginsFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "evenkeel_api_logins_failed_total", Help: "Requests to the API without a valid token.",
		}),
		watchDrops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "evenkeel_api_watch_drops_total", Help: "Watchers that this node dropped, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range dropReasons() {
		m.watchDrops.WithLabelValues(reason)
	}
	watchers := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "evenkeel_api_watchers", Help: "Watchers that this node has, streams and blocking reads.",
	}, func() float64 { return float64(a.watching.count.Load()) })
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "evenkeel_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": a.config.Version, "goversion": runtime.Version(), "node": a.config.NodeName},
	})
	build.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, m.requests, m.loginsFailed, m.watchDrops, watchers,
		newCollector(a),
	)
	return m
}

// answerKind is what tells the counters of answers apart: method is as it stands in
// the request.
type answerKind struct {
	method string
	status int
}

// answered counts an answer.
func (m *metrics) answered(method string, status int) {
	counter, known := m.answers.Load(answerKind{method, status})
	if !known {
		label := methodLabel(method)
		counter = m.requests.WithLabelValues(label, strconv.Itoa(status))
		if label != unknownMethod { // of those there is no end
			m.answers.Store(answerKind{method, status}, counter)
		}
	}
	counter.(prometheus.Counter).Inc()
}

// unknownMethod is the label of whatever a client makes up: one series.
const unknownMethod = "unknown"

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return strings.ToLower(method)
	}
	return unknownMethod
}

func (m *metrics) handler(logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
		ErrorHandling:       promhttp.ContinueOnError,
	})
}
