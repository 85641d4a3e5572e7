package httpapi_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/httpapi"
)

func TestAMalformedRequestIsRefusedByANodeThatSaysItsName(t *testing.T) {
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1"})
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- httpapi.Serve(ctx, api.Listener(listener), api.Handler(), slog.New(slog.DiscardHandler))
	}()
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no HTTP":               {"what is this\r\n\r\n", 400},
		"no host":               {"GET /livez HTTP/1.1\r\n\r\n", 400},
		"a head too large":      {"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		"another coding":        {"POST /v1/pools HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		"what the API answers":  {"GET /v1/pools/absent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
		"what the API is asked": {"GET /v1/pools HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", listener.Addr().String(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			// The server may answer before it has read everything.
			_, _ = io.WriteString(conn, c.request)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("status %d, want %d", response.StatusCode, c.status)
			}
			for _, field := range []string{"X-Evenkeel-Node", "X-Evenkeel-Revision"} {
				if values := response.Header.Values(field); len(values) != 1 || values[0] == "" {
					t.Errorf("%s is %q", field, values)
				}
			}
		})
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
