package table

import "sync/atomic"

// Stats are this node's counters of one backend. They belong to the backend's
// UID: tables come and go, the counters stay until the backend is deleted and
// the last table that knew it is no longer in use. All fields may be used from
// any goroutine.
type Stats struct {
	// InFlight is the number of requests that the backend was picked for and
	// that are not done. Who picks adds 1 right after the pick and takes it
	// back when the exchange ends or the connect failed. Pickers read it.
	InFlight atomic.Int64
	// Requests counts attempts that began: one per pick that was acted upon.
	Requests atomic.Uint64
	// ConnectFailures counts attempts that ended without a connection.
	ConnectFailures atomic.Uint64
	// Failures counts attempts that got a connection and no complete response,
	// by the backend's fault.
	Failures atomic.Uint64

	// Leased is how many permits for requests at once the loops have leased, if
	// the pool bounds those.
	Leased atomic.Int64

	responses [6]atomic.Uint64
	rotation  atomic.Uint32 // the next of several addresses

	_ [36]byte // two cache lines in all, so that no two backends share one
}

// CountResponse counts a response by its status code, 100 to 599.
func (s *Stats) CountResponse(status int) { s.responses[class(status)].Add(1) }

// Responses returns how many responses were counted of a class: 1 to 5 for 1xx
// to 5xx, 0 for codes outside of those.
func (s *Stats) Responses(class int) uint64 { return s.responses[class].Load() }

func class(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}
