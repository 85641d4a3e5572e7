package picker_test

import (
	"fmt"

	"evenkeel/balancer/picker"
)

// A program that embeds Evenkeel's balancing picks among servers of its own.
func Example() {
	servers := []string{"red:9000", "green:9000", "blue:9000"}
	candidates := make([]picker.Candidate, len(servers))
	for i := range servers {
		candidates[i] = picker.Candidate{Weight: 1, Load: picker.NewLoad(1)}
	}
	candidates[0].Load.Add(0, 3) // requests in flight
	candidates[1].Load.Add(0, 2)
	least := picker.NewLeastConnections(candidates, nil)

	var tried picker.Set
	for range servers {
		i := least.Pick(&picker.Request{Tried: &tried})
		fmt.Println("try", servers[i])
		tried.Add(i) // it did not answer
	}
	fmt.Println("left:", least.Pick(&picker.Request{Tried: &tried}))
	// Output:
	// try blue:9000
	// try green:9000
	// try red:9000
	// left: -1
}

// Equal keys go to the same server, in every process that knows the servers by
// the same names, and none gets more than 1.25 times its share.
func Example_hash() {
	load := func() *picker.Load { return picker.NewLoad(1) }
	candidates := []picker.Candidate{
		{Name: "red", Weight: 1, Load: load()},
		{Name: "green", Weight: 1, Load: load()},
		{Name: "blue", Weight: 2, Load: load()},
	}
	pool := picker.NewBounded(picker.NewMaglev(candidates), candidates, 125)

	request := new(picker.Request) // of which one is enough
	for _, user := range []string{"ann", "carl", "dora", "ann"} {
		request.Hash = picker.HashString(user)
		fmt.Println(user, "is served by", candidates[pool.Pick(request)].Name)
	}
	// Output:
	// ann is served by red
	// carl is served by red
	// dora is served by green
	// ann is served by red
}
