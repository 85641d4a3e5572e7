package engine

import (
	"net/http"
	"testing"

	"evenkeel/fsm"
)

// TestRequestsAreRoutedByTheServerName: over both protocols a route with an SNI takes
// what came over a connection for that name. What it would have taken over a connection
// for the host that it is for is misdirected: RFC 9110 section 15.5.20.
func TestRequestsAreRoutedByTheServerName(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			w := newWorld(t, securing(t, nil), answering(t, "ok"))
			route := fsm.RouteSpec{Match: fsm.RouteMatch{SNI: "*.com", PathPrefix: "/named"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}
			w.do(put("", "r", route))
			for _, c := range []struct {
				serverName, host, path string
				status                 int
			}{
				{"example.com", "elsewhere.test", "/named", 200}, // which is another matter
				{"example.com", "elsewhere.test", "/other", 404},
				// An address is no server name: RFC 6066 section 3.
				{"127.0.0.1", "example.com", "/named", 421}, {"127.0.0.1", "WWW.Example.COM.:443", "/named", 421},
				{"127.0.0.1", "example.com", "/other", 404},
				// A connection of its own would be of no more use to the client.
				{"127.0.0.1", "elsewhere.test", "/named", 404}, {"127.0.0.1", "127.0.0.1", "/named", 404},
			} {
				config := trusting()
				config.ServerName = c.serverName
				client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: protocol == "HTTP/2.0"}}
				for range 3 { // the later streams are links that are used again
					ask := request(t, "GET", "https://"+w.addr+c.path, nil)
					ask.Host = c.host
					response, _ := do(t, client, ask)
					if response.StatusCode != c.status || response.Proto != protocol {
						t.Errorf("%s of %s for %q: %d over %s, want %d", c.path, c.host, c.serverName, response.StatusCode, response.Proto, c.status)
					}
				}
				client.CloseIdleConnections()
			}
		})
	}
	t.Run("in clear text there is none", func(t *testing.T) {
		w := newWorld(t, nil, answering(t, "ok"))
		w.do(put("", "r", fsm.RouteSpec{Match: fsm.RouteMatch{SNI: "example.com"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}))
		if response, _ := do(t, w.h1Client(), request(t, "GET", w.url("/"), nil)); response.StatusCode != 404 {
			t.Errorf("%d", response.StatusCode)
		}
	})
}
