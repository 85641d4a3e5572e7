package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestTheServerEndsWithItsContextAndAnswersWhatIsInFlight(t *testing.T) {
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	})
	ended := make(chan error, 1)
	go func() { ended <- httpapi.Serve(ctx, listener, handler, slog.New(slog.DiscardHandler)) }()

	answered := make(chan string, 1)
	go func() {
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	stop()
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not end")
	}
}

func TestTheServerReportsThatItsListenerBroke(t *testing.T) {
	listener := listen(t)
	listener.Close()
	err := httpapi.Serve(t.Context(), listener, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "serve api on 127.0.0.1") {
		t.Errorf("error %v", err)
	}
}

func TestTheWholeAPIIsReachedThroughTheServer(t *testing.T) {
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1"})
	ended := make(chan error, 1)
	go func() { ended <- httpapi.Serve(ctx, listener, api.Handler(), slog.New(slog.DiscardHandler)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post("http://"+listener.Addr().String()+"/v1/backends", "application/x-www-form-urlencoded",
		strings.NewReader(`{"address":"10.0.0.5:9000"}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 201 || response.Header.Get("X-Evenkeel-Node") != "n1" {
		t.Errorf("status %d, header %v", response.StatusCode, response.Header)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
