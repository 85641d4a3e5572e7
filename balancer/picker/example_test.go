package picker_test

import (
	"fmt"
	"sync/atomic"

	"evenkeel/balancer/picker"
)

// A program that embeds Evenkeel's balancing picks among servers of its own.
func Example() {
	servers := []string{"red:9000", "green:9000", "blue:9000"}
	inFlight := make([]atomic.Int64, len(servers))
	candidates := make([]picker.Candidate, len(servers))
	for i := range servers {
		candidates[i] = picker.Candidate{Weight: 1, Load: &inFlight[i]}
	}
	inFlight[0].Store(3)
	inFlight[1].Store(2)
	least := picker.NewLeastConnections(candidates, nil)

	var tried picker.Set
	for range servers {
		i := least.Pick(&tried)
		fmt.Println("try", servers[i])
		tried.Add(i) // it did not answer
	}
	fmt.Println("left:", least.Pick(&tried))
	// Output:
	// try blue:9000
	// try green:9000
	// try red:9000
	// left: -1
}
