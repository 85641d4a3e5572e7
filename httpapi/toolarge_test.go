package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"evenkeel/httpapi"
)

// The refusal comes before any of the body is sent, and whoever sends it all the
// same gets to read the refusal.
func TestABodyThatIsSaidToBeTooLargeIsRefusedBeforeItComes(t *testing.T) {
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1"})
	ended := make(chan error, 1)
	go func() { ended <- httpapi.Serve(ctx, listener, api.Handler(), slog.New(slog.DiscardHandler)) }()
	for _, c := range []struct {
		line string
		size int
	}{{"PUT /v1/pools/p", 1<<20 + 1}, {"POST /v1/txn", 16<<20 + 1}, {"POST /v1/apply", 16<<20 + 1}, {"PUT /v1/snapshot", 256<<20 + 1}} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", c.line, c.size)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		if _, err := io.CopyN(conn, zeros{}, 1<<20); err != nil {
			t.Errorf("%s: sent on: %v", c.line, err)
		}
		body, err := io.ReadAll(response.Body)
		conn.Close()
		if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge || !response.Close || len(body) == 0 {
			t.Errorf("%s: status %d, header %v, body %q, %v", c.line, response.StatusCode, response.Header, body, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
