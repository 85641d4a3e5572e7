package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"evenkeel/client"
	"evenkeel/fsm"
)

// A program registers a backend, on any of three nodes, and drains it later.
func Example() {
	node := httptest.NewServer(http.HandlerFunc(answer)) // stands for a node
	defer node.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	c, err := client.New(client.Config{Bases: []string{node.URL, "10.0.0.2:7070", "10.0.0.3:7070"}, Token: "ek-secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	backend := &fsm.Backend{Name: "web1"}
	backend.Spec.SetDefaults()
	backend.Spec.Address = "10.0.0.5:9000"
	if _, err := c.Backends("web").Put(ctx, backend, client.Write{Reason: "web1 starts"}); err != nil {
		fmt.Println(err)
		return
	}
	drain := map[string]any{"spec": map[string]any{"admin_state": fsm.AdminDrain}}
	written, err := c.Backends("web").Patch(ctx, "web1", drain, client.Write{WaitAll: true})
	switch {
	case client.IsNotFound(err):
		fmt.Println("somebody deleted it")
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(written.Object.Name, "is", written.Object.Spec.AdminState, "at revision", written.Revision)
	}
	// Output: web1 is drain at revision 18
}

// A watch goes on by itself when a node dies.
func ExampleClient_Watch() {
	node := httptest.NewServer(http.HandlerFunc(answer))
	defer node.Close()
	c, err := client.New(client.Config{Bases: []string{node.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	for event, err := range c.Watch(context.Background(), client.Watch{Since: 17, Kinds: []fsm.Kind{fsm.KindBackend}}) {
		if err != nil { // client.IsCompacted: read everything anew
			fmt.Println(err)
			return
		}
		fmt.Println(event.Revision, event.Action, event.Ref())
		break
	}
	// Output: 18 update backend web/web1
}

// answer is what a node would say.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Evenkeel-Revision", "18")
	if r.URL.Path == "/v1/watch" {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "id: 18\nevent: put\ndata: {\"revision\":18,\"kind\":\"backend\",\"pool\":\"web\",\"name\":\"web1\",\"action\":\"update\"}\n\n")
		return
	}
	fmt.Fprint(w, `{"pool":"web","name":"web1","labels":{},"spec":{"address":"10.0.0.5:9000","admin_state":"drain"},"meta":{"revision":18}}`)
}
