package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// idleBytes is what an idle TLS connection may take of this process's memory.
const idleBytes = 12 << 10

// TestIdleTLSConnectionsAreSmall has 5,000 clients, in a process of their own,
// each of which has sent a request and been answered.
func TestIdleTLSConnectionsAreSmall(t *testing.T) {
	many := 5000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < uint64(many)+500 {
		t.Skipf("this process may have %d descriptors", limit.Cur)
	}
	if raceEnabled || testing.Short() {
		many = 500
	}
	w := newWorld(t, securing(t, nil), answering(t, strings.Repeat("x", 1024)))
	warm := w.dialTLS(trusting())
	if _, _, err := exchangeOnce(warm); err != nil {
		t.Fatal(err)
	}
	before, goroutines := resident(t), runtime.NumGoroutine()
	clients := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperIdleClients$")
	clients.Env = append(os.Environ(), "IDLE_CLIENTS_OF="+w.addr, "IDLE_CLIENTS="+strconv.Itoa(many))
	stop, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "connected\n" {
		t.Fatalf("the clients said %q, %v", line, err)
	}
	each := (resident(t) - before) / int64(many)
	t.Logf("%d idle connections: %d bytes each, %d goroutines more", many, each, runtime.NumGoroutine()-goroutines)
	if n := w.connections(); n < int64(many) {
		t.Errorf("%d are connected", n)
	}
	if each > idleBytes && !raceEnabled {
		t.Errorf("each takes %d bytes", each)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 10 {
		t.Errorf("there are %d goroutines more", more)
	}
	if err := stop.Close(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
}

// resident is what the process has of the machine's memory, without what the
// collector would give back.
func resident(t testing.TB) int64 {
	t.Helper()
	for range 3 {
		debug.FreeOSMemory()
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kilobytes int64
	if _, err := fmt.Sscanf(string(rest), "%d", &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func TestHelperIdleClients(t *testing.T) {
	addr := os.Getenv("IDLE_CLIENTS_OF")
	if addr == "" {
		t.Skip("a part of another test")
	}
	many, err := strconv.Atoi(os.Getenv("IDLE_CLIENTS"))
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]net.Conn, many)
	for i := range conns {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
		if _, _, err := exchangeOnce(newPeer(t, conn)); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0) // without the words that a test says at its end
}
