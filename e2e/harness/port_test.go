package harness

import "testing"

func TestNoPortIsPromisedTwice(t *testing.T) {
	promised := map[int]bool{}
	for range highestPort - lowestPort + 1 {
		port := nextPort()
		if port < lowestPort || port > highestPort || promised[port] {
			t.Fatalf("port %d after %d others", port, len(promised))
		}
		promised[port] = true
	}
}
