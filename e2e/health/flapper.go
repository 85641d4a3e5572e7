//go:build linux

package health

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// flapName is the name of a backend's process whose ports flap.
	flapName = "flapping"
	// flapPeriod is for how long a port stays open or closed, give or take a
	// fifth, so that no probe is in step with it.
	flapPeriod = time.Second
)

// toggle has the process begin or end to flap. At the end all its ports are open.
func toggle(t testing.TB, p *harness.Process) {
	t.Helper()
	if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
		t.Fatalf("signal the backends that flap: %v", err)
	}
}

// flap serves at all addresses and flaps between one SIGUSR1 and the next.
func flap(addresses []string) int {
	toggles := make(chan os.Signal, 1)
	signal.Notify(toggles, syscall.SIGUSR1)
	for {
		servers, err := openAll(addresses)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		<-toggles
		quit := make(chan struct{})
		var running sync.WaitGroup
		for i, address := range addresses {
			running.Go(func() { flapOne(servers[i], address, quit) })
		}
		<-toggles
		close(quit)
		running.Wait()
	}
}

func openAll(addresses []string) ([]*http.Server, error) {
	servers := make([]*http.Server, len(addresses))
	for i, address := range addresses {
		var err error
		if servers[i], err = open(address); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func open(address string) (*http.Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, flapName) })}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	return server, nil
}

// flapOne closes an open port and opens it again until it is told to end; then
// the port is closed.
func flapOne(server *http.Server, address string, quit chan struct{}) {
	for {
		for _, wanted := range []bool{false, true} {
			select {
			case <-quit:
				_ = server.Close() // closed already or not
				return
			case <-time.After(flapPeriod*4/5 + rand.N(flapPeriod*2/5)):
			}
			if !wanted {
				_ = server.Close() // with its connections
				continue
			}
			var err error
			if server, err = open(address); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}
