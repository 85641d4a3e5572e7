package httpapi

import (
	"context"
	"net/http"
)

type (
	stoppingKey struct{}
	// originKey is of the context of the connection, which has no deadline, in one
	// that has; see [timed].
	originKey struct{}
)

// stopping returns a channel that is closed when the server that took the request
// is told to stop, so that answers which wait for something end; nil if it is
// never told.
func stopping(ctx context.Context) <-chan struct{} {
	told, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return told
}

// withStopping has [stopping] return that channel.
func withStopping(ctx context.Context, told <-chan struct{}) context.Context {
	return context.WithValue(ctx, stoppingKey{}, told)
}

// endless returns the request's context without the time that a request may take:
// it ends when the client goes away, or with cancel. Who uses it has a bound of
// its own.
func endless(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	origin, ok := r.Context().Value(originKey{}).(context.Context)
	if !ok {
		origin = r.Context()
	}
	release := context.AfterFunc(origin, cancel)
	return ctx, func() {
		release()
		cancel()
	}
}
