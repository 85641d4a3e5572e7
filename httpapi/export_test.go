package httpapi

import (
	"time"

	"github.com/gorilla/mux"
)

// Router lets tests walk the paths.
func (a *API) Router() *mux.Router { return a.router().mux }

// AddressName lets tests fuzz names made from addresses.
var AddressName = addressName

// Needs returns the role that each route needs, "" for none.
func Needs() map[string]string {
	roles := map[string]string{}
	for route, n := range needs() {
		roles[route] = string(n.role)
	}
	return roles
}

// MaxWatchers is how many watchers a node takes.
const MaxWatchers = maxWatchers

// WatchKept is how many bytes of encoded events the node keeps.
func (a *API) WatchKept() int {
	a.watching.frames.mu.Lock()
	defer a.watching.frames.mu.Unlock()
	return a.watching.frames.bytes
}

// Hurry has watchers dropped after other times than in a node.
func (a *API) Hurry(write, lag time.Duration) {
	a.watching.times.write, a.watching.times.lag = write, lag
}
