// Command register-go is a service that registers itself with Evenkeel, and drains
// itself when it is told to stop.
//
//	go run ./examples/register-go --api 127.0.0.1:7070 --name hello-1 --port 9001
//
// On start it puts itself into a pool, with a ttl. While it runs it renews that, so
// that it is withdrawn by itself if it dies. On SIGTERM or SIGINT it asks to be
// drained, waits until no node has a request of it in flight, leaves the pool, and
// ends. A token is taken from EVENKEEL_TOKEN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"evenkeel/client"
	"evenkeel/fsm"
)

// ttl is how long the service stays registered without a renewal: two that are
// lost do no harm.
const ttl = 15 * time.Second

// registration is one backend in the registry.
type registration struct {
	api     *client.Client
	pool    string
	backend *fsm.Backend
}

func (r *registration) register(ctx context.Context) error {
	_, err := r.api.Backends(r.pool).Put(ctx, r.backend, client.Write{Reason: "the service starts"})
	return err
}

// keep renews the registration until ctx ends, and makes it again where it has
// lapsed.
func (r *registration) keep(ctx context.Context) {
	ticker := time.NewTicker(ttl / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := r.api.Heartbeat(ctx, r.pool, r.backend.Name, "")
		if client.IsNotFound(err) {
			err = r.register(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.Printf("not renewed, trying again: %v", err)
		}
	}
}

// leave drains the service and withdraws it, without a request that fails.
func (r *registration) leave(ctx context.Context) error {
	backends := r.api.Backends(r.pool)
	patch := map[string]any{"admin_state": fsm.AdminDrain}
	if _, err := backends.Patch(ctx, r.backend.Name, patch, client.Write{Reason: "the service stops"}); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		now, err := backends.Get(ctx, r.backend.Name, client.Read{})
		if err == nil && now.Status.Drain != nil && now.Status.Drain.State != fsm.DrainUnderWay {
			break
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	_, err := backends.Delete(context.WithoutCancel(ctx), r.backend.Name, client.Write{Reason: "the service stops"})
	return err
}

func run(ctx context.Context) error {
	apis := flag.String("api", "127.0.0.1:7070", "APIs of nodes, with commas between them")
	pool := flag.String("pool", "default", "the pool to serve in")
	name := flag.String("name", "", "name of this backend, a DNS label")
	host := flag.String("host", "127.0.0.1", "where the nodes reach this service")
	port := flag.String("port", "9001", "the port to listen on")
	patience := flag.Duration("patience", 30*time.Second, "how long a drain may take")
	flag.Parse()

	api, err := client.New(client.Config{Bases: strings.Split(*apis, ","), Token: os.Getenv("EVENKEEL_TOKEN")})
	if err != nil {
		return err
	}
	defer api.Close()
	address := net.JoinHostPort(*host, *port)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address) // before it registers: requests come at once
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", *name)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	r := &registration{api: api, pool: *pool, backend: &fsm.Backend{Name: *name}}
	r.backend.Spec.SetDefaults()
	r.backend.Spec.Address, r.backend.Spec.TTL = address, fsm.Duration(ttl)
	if err := r.register(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	log.Printf("%s is registered", *name)
	r.keep(ctx)

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), *patience)
	defer cancel()
	if err := r.leave(leaving); err != nil {
		log.Printf("not withdrawn, the ttl will do that: %v", err)
	}
	if err := server.Shutdown(leaving); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
