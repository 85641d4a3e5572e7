package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func examplePicture() *picture {
	return &picture{
		at:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		leader: "n2",
		events: []string{"n1 (pid 7) is dead (signal: killed); it comes back in 10s"},
		nodes: []nodePicture{
			{name: "n1", role: "dead", tally: tally{total: 10}},
			{name: "n2", role: "leader", pid: 8, tally: tally{answers: map[string]int{"web2": 3, "web1": 4}, total: 17}},
			{name: "n3", role: "follower", pid: 9, tally: tally{answers: map[string]int{"x\x1b[2J": 1}, total: 3, failed: 1, failure: "503 no\nusable"}},
		},
		backends: []backendPicture{
			{name: "web1", pid: 5, health: "up", address: "127.0.0.1:9001"},
			{name: "other", health: "down", address: "10.0.0.1:1"},
		},
	}
}

func TestLinesOfAPicture(t *testing.T) {
	var out strings.Builder
	s := newScreen(&out)
	for range 2 {
		if err := s.show(examplePicture()); err != nil {
			t.Fatal(err)
		}
	}
	const nodes = "* 03:04:05 n1 (pid 7) is dead (signal: killed); it comes back in 10s\n" +
		"n1 dead       no answers  10 requests, 0 failed\n" +
		"n2 leader     web1 4  web2 3  17 requests, 0 failed\n" +
		"n3 follower   x?[2J 1  3 requests, 1 failed: 503 no?usable\n"
	// Health is told when it changes.
	if diff := cmp.Diff(nodes+"backends: web1 up, other down\n"+nodes, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableOfAPicture(t *testing.T) {
	got := strings.Join((&screen{}).table(examplePicture()), "\n")
	const want = `NODE  PID      ROLE       ANSWERS OF THE LAST SECOND           SO FAR
n1    -        dead       no answers                           10 requests, 0 failed
n2    8        leader     web1 4  web2 3                       17 requests, 0 failed
n3    9        follower   x?[2J 1                              3 requests, 1 failed: 503 no?usable

BACKEND      PID      HEALTH     ADDRESS
web1         5        up         127.0.0.1:9001
other        -        down       10.0.0.1:1`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if cut("äöü", 2) != "äö" || cut("abc", 0) != "abc" {
		t.Error("cut does not count characters")
	}
}
