package table

import (
	"evenkeel/balancer/proxyproto"
	"evenkeel/fsm"
)

// serverNameOf returns the server name that a route is for, "" for all.
func serverNameOf(*fsm.RouteMatch) string { return "" }

// proxyProtocolOf returns the version of the PROXY header that a pool's
// connections begin with, 0 for none.
func proxyProtocolOf(*fsm.PoolSpec) proxyproto.Version { return 0 }
