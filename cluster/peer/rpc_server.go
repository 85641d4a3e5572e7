package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The deadlines of a call on the side that answers. The client's idle timeout
// is well below this one, so that it is not the server who ends a connection
// just when a call is sent.
const (
	rpcHeaderTimeout = 5 * time.Second
	rpcReadTimeout   = 30 * time.Second
	rpcWriteTimeout  = time.Minute
	rpcServerIdle    = 3 * time.Minute
	rpcMaxHeader     = 16 << 10
	// rpcGrace is how long calls may go on when the port closes.
	rpcGrace = time.Second
)

// rpcServer answers the calls of peers.
type rpcServer struct {
	inbox   *inbox
	maxBody int64
	logger  *slog.Logger
	handler http.Handler // set before run
}

func newRPCServer(queue *inbox, maxBody int64, logger *slog.Logger) *rpcServer {
	return &rpcServer{inbox: queue, maxBody: maxBody, logger: logger, handler: http.NotFoundHandler()}
}

type uidKey struct{}

// UIDFromContext returns the UID of the node whose call this is, or "" if the
// context is not that of a call.
func UIDFromContext(ctx context.Context) string {
	uid, _ := ctx.Value(uidKey{}).(string)
	return uid
}

// run answers calls until ctx ends and for the grace after it, then ends their
// contexts, and returns when the last has ended.
func (s *rpcServer) run(ctx context.Context) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var open sync.WaitGroup
	server := &http.Server{
		Handler:           http.MaxBytesHandler(s.handler, s.maxBody),
		ReadHeaderTimeout: rpcHeaderTimeout,
		ReadTimeout:       rpcReadTimeout,
		WriteTimeout:      rpcWriteTimeout,
		IdleTimeout:       rpcServerIdle,
		MaxHeaderBytes:    rpcMaxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return calls },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, uidKey{}, c.(*conn).uid)
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew: // before Serve goes on, so before the Wait below
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.inbox) }()
	var err error
	select {
	case <-ctx.Done():
		grace, stop := context.WithTimeout(calls, rpcGrace)
		defer stop()
		if server.Shutdown(grace) != nil { // the grace is over
			cancel()
			err = server.Close()
		}
		<-served
	case err = <-served:
	}
	cancel()
	open.Wait()
	if err != nil {
		return fmt.Errorf("answer calls: %w", err)
	}
	return nil
}
