package sample_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/cmd/evenkeel/sample"
)

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sample.Serve(ctx, listener, "web1") }()

	transport := &http.Transport{}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	base := "http://" + listener.Addr().String()
	for path, want := range map[string]string{
		"/a/b?c=d": "web1\nGET /a/b?c=d\n",
		"/":        "web1\nGET /\n",
		"/healthz": "ok\n",
	} {
		response, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != want || response.StatusCode != http.StatusOK {
			t.Errorf("GET %s: status %d, body %q, error %v; want %q", path, response.StatusCode, body, err, want)
		}
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stop: %v", err)
	}
}
