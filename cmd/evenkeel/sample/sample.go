// Package sample is a backend to try a load balancer with: an HTTP server
// that answers its own name. It owns no more than that.
package sample

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// stopTimeout bounds how long a stopping server waits for requests.
const stopTimeout = 5 * time.Second

// Serve answers requests on the listener until ctx ends, then lets those in
// flight finish, for 5 s at most. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, name string) error {
	server := &http.Server{
		Handler:           Handler(name),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve sample backend on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := server.Shutdown(stop)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	<-served
	return err
}

// Handler answers 200 with the name on the first line and the request's
// method and path on the second; "/healthz" answers "ok".
func Handler(name string) http.Handler {
	// Not a ServeMux: that would redirect paths such as "/a//b".
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			plain(w, "ok\n")
			return
		}
		plain(w, fmt.Sprintf("%s\n%s %s\n", name, r.Method, r.URL.RequestURI()))
	})
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// A client that went away is no fault of the backend's.
	_, _ = w.Write([]byte(text))
}
