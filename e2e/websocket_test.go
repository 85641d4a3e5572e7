package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"evenkeel/e2e/harness"
)

func TestAWebSocketPassesThroughANodeAndOutlivesTheLeader(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	cluster.Nodes[0].Add(t, backend)
	node := cluster.Followers(t)[0]
	node.WaitServes(t)

	dialer := websocket.Dialer{HandshakeTimeout: harness.Patience}
	conn, response, err := dialer.DialContext(t.Context(), "ws://"+node.HTTP+"/ws", nil)
	if err != nil {
		t.Fatalf("open a WebSocket: %v %v", err, response)
	}
	defer conn.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("the upgrade was answered %d", response.StatusCode)
	}
	exchange(t, conn, "hello")
	cluster.Leader(t).Kill()
	cluster.Leader(t)
	// A change of the registry does not touch open connections either.
	node.Write(t, http.MethodPut, "/v1/pools/other", map[string]any{})
	exchange(t, conn, "still there")
}

func exchange(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
	_, got, err := conn.ReadMessage()
	if want := fmt.Sprintf("web1: %s", message); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}
