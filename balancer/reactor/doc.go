// Package reactor runs event loops over sockets.
//
// It owns threads, pollers, descriptors, timers and the buffers of what is
// incomplete. It refuses to own protocols: what bytes mean is for the [Handler]
// of each connection, and it never looks at one.
//
// A loop is one OS thread with a poller, listening sockets and connections of
// its own. All that happens to a connection happens on its loop, one call after
// the other, so that handlers need no lock and share nothing with other loops.
// A handler must not block: what may, goes to a goroutine and comes back with
// [Loop.Post].
//
// Connections are registered with the poller once, for edges in both
// directions; from then on a usual exchange costs one receive and one send a
// side and no call more. Short writes of one batch of events are sent together
// at its end, which finds the receivers at work instead of asleep. An idle
// connection owns no memory but its [Conn].
package reactor
