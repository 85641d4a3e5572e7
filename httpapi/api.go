package httpapi

import (
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
)

// requestTimeout bounds the handling of one request, without what a client asks it
// to wait. A write waits at most 4 s for a leader and 5 s for an outcome; this is
// for what should not happen.
const requestTimeout = 20 * time.Second

// Config is what the API serves and how.
type Config struct {
	Cluster  Cluster
	NodeName string
	Version  string
	// AdminToken is a bearer token with every right, "" for none. With one, or if
	// TokenNeeded is set, who bears no token may do nothing; else everything.
	AdminToken  string
	TokenNeeded bool
	// BootstrapTokens are the SHA-256 of further tokens with every right, of 256
	// random bits each.
	BootstrapTokens [][sha256.Size]byte
	// Insecure says that an API without a token is meant to be reached by any
	// host name. Otherwise such an API is taken to be on loopback, and answers
	// to IP addresses and localhost only.
	Insecure bool
	// Listeners returns this node's listeners by name; nil means none.
	Listeners func() map[string]ListenerStatus
	// Serving returns up to which revision this node's data plane serves; nil for a
	// node that takes no traffic. It is called concurrently and must not block.
	Serving func() uint64
	// NotReady returns why this node cannot serve traffic yet or any more; an
	// empty result, or a nil function, means that it can.
	NotReady func() []string
	// Traffic, Probes and Refused return this node's counters for /metrics; nil
	// means none. Refused is what came to the cluster port and was not let in,
	// by reason.
	Traffic func() Traffic
	Probes  func() ProbeCount
	Refused func() map[string]uint64
	// Health is what this node by itself says of backends; nil for a node that
	// takes no traffic. It is called concurrently and must not block.
	Health func() LocalHealth
	// Explain returns what this node would do with a request, as the schema
	// Explanation of the OpenAPI document; nil of a node that takes no traffic. It is
	// called concurrently. With a nil function no node takes any.
	Explain func(ExplainQuery) any
	// Signals returns this node's counters of what leads to verdicts, for
	// /metrics; nil means none.
	Signals func() Signals
	// Sealer seals the private keys of certificates; with nil none can be written.
	Sealer KeySealer
	Logger *slog.Logger
}

// API serves one node's API.
type API struct {
	config    Config
	resources []*resource
	// authorized is config.Cluster.
	authorized authorized
	needs      map[string]need
	guard      *guard
	metrics    *metrics
	handler    http.Handler
	restoring  atomic.Bool // a snapshot is large: one at a time

	listBuffers sync.Pool // of *bufio.Writer
	watching    *watching
	rendered    renderings
	told        atomic.Pointer[toldRevision] // nil until the first answer
	healthReads chan struct{}                // holds one per read of health that is under way
	bulk        chan struct{}                // holds one per large body
	chains      chains
}

// New returns the API of a node. It starts nothing.
func New(config Config) *API {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	authorized := authorized{config.Cluster, config.Sealer}
	config.Cluster = authorized
	a := &API{config: config, authorized: authorized, resources: resources(), needs: needs(), healthReads: make(chan struct{}, maxHealthReads), bulk: make(chan struct{}, maxBulk)}
	a.watching = newWatching(a)
	a.metrics = newMetrics(a)
	a.guard = newGuard(config, a.metrics.loginsFailed.Inc)
	a.handler = a.outer(a.guard.wrap(a.router()))
	return a
}

// Handler returns the handler of all paths.
func (a *API) Handler() http.Handler { return a.handler }

// router holds every path of the API; the OpenAPI document is tested against
// it.
func (a *API) router() *paths {
	router := newPaths(mux.NewRouter().SkipClean(true))
	for _, res := range a.resources {
		a.serve(router, http.MethodGet, res.collection, a.list(res), readQuery("label", "fields", "limit", "page")...)
		a.serve(router, http.MethodPost, res.collection, a.create(res), confirmable()...)
		item := res.collection + "/{name}"
		a.serve(router, http.MethodGet, item, a.read(res), readQuery("fields")...)
		a.serve(router, http.MethodPut, item, a.put(res), confirmable()...)
		a.serve(router, http.MethodPatch, item, a.change(res), confirmable()...)
		a.serve(router, http.MethodDelete, item, a.remove(res), confirmable()...)
		if res.inPool {
			a.serve(router, http.MethodGet, "/v1/backends", a.list(res), readQuery("label", "fields", "limit", "page", "pool")...)
			a.serve(router, http.MethodPost, "/v1/backends", a.create(res), confirmable()...)
		}
	}
	a.serve(router, http.MethodPost, "/v1/txn", a.txn, confirmable()...)
	a.serve(router, http.MethodGet, "/v1/health", a.inTurn(a.health), readQuery()...)
	a.serve(router, http.MethodGet, "/v1/pools/{pool}/health", a.inTurn(a.poolHealth), readQuery()...)
	backend := "/v1/pools/{pool}/backends/{name}"
	a.serve(router, http.MethodGet, backend+"/health", a.inTurn(a.backendHealth), readQuery()...)
	a.serve(router, http.MethodPut, backend+"/heartbeat", a.heartbeat, "uid")
	a.serve(router, http.MethodPut, backend+"/override", a.override, writeQuery()...)
	a.serve(router, http.MethodDelete, backend+"/override", a.endOverride, writeQuery()...)
	a.serve(router, http.MethodGet, "/v1/explain", a.inTurn(a.explain), "url", "method", repeated("header"), "client", "listener")
	a.serve(router, http.MethodGet, "/v1/cluster", a.clusterStatus, readQuery()...)
	a.serve(router, http.MethodGet, "/v1/nodes", a.nodes, readQuery()...)
	a.serve(router, http.MethodDelete, "/v1/nodes/{node}", a.removeNode)
	a.serve(router, http.MethodPost, "/v1/nodes/{node}/promote", a.promoteNode)
	a.serve(router, http.MethodPost, "/v1/cluster/transfer-leader", a.transferLeader, "to")
	a.serve(router, http.MethodGet, "/v1/snapshot", a.snapshot, readQuery()...)
	a.serve(router, http.MethodPut, "/v1/snapshot", a.restoreSnapshot, "certificates")
	a.serve(router, http.MethodGet, "/v1/watch", a.watch, watchQuery...)
	a.serveHistory(router)
	a.serve(router, http.MethodPost, "/v1/apply", a.apply, confirmable("prune", "owner")...)
	a.serve(router, http.MethodGet, "/v1/export", a.export, "consistency", "format", "owner", "kind", "label")
	a.serve(router, http.MethodGet, "/v1/openapi.json", a.openAPI)
	a.serve(router, http.MethodGet, "/v1/problems/{kind}", a.explainProblem)
	for path, handler := range map[string]http.Handler{
		"/livez": a.handle(a.live), "/readyz": a.handle(a.ready), "/metrics": a.metrics.handler(a.config.Logger),
	} {
		router.add(path, a.permitted(http.MethodGet, path, handler), http.MethodGet, http.MethodHead)
	}
	router.mux.NotFoundHandler = a.handle(notFound)
	router.mux.MethodNotAllowedHandler = a.handle(methodNotAllowed(router.mux))
	return router
}

// serve adds a path that takes the named query parameters.
func (a *API) serve(router *paths, method, path string, h handlerFunc, query ...string) {
	methods := []string{method}
	if method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	router.add(path, a.permitted(method, path, a.handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkQuery(r, query); err != nil {
			return err
		}
		return h(w, r)
	})), methods...)
}
