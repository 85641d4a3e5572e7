package client

import (
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestOneRequestOfAWatchTellsWhatCameSince(t *testing.T) {
	n := newNode(t, inTurn(
		says(200, `{"revision":9,"events":[{"revision":8,"kind":"pool","name":"a","action":"create"},{"revision":9,"kind":"pool","name":"b","action":"delete"}]}`),
		says(200, `{"revision":12,"events":[]}`),
		says(410, problemBody("compacted")),
	))
	c := newClient(t, Config{}, n.url)
	watch := Watch{Since: 7, Kinds: []fsm.Kind{fsm.KindPool}, Labels: []string{"a=b"}}
	got, err := c.WatchOnce(within(t), watch, 30*time.Second)
	if err != nil || got.Revision != 9 || len(got.Events) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if one, two := got.Events[0], got.Events[1]; one.Type != EventPut || one.Name != "a" || two.Type != EventDelete || two.Revision != 9 {
		t.Errorf("events %+v and %+v", one, two)
	}
	if got, err = c.WatchOnce(within(t), Watch{Since: 9}, 0); err != nil || got.Revision != 12 || len(got.Events) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err = c.WatchOnce(within(t), Watch{Since: 1}, time.Second); !IsCompacted(err) {
		t.Errorf("error %v", err)
	}
	equal(t, "asked", n.requests(), "GET /v1/watch?index=7&wait=30s&kind=pool&label=a%3Db", "GET /v1/watch?index=9&wait=0s", "GET /v1/watch?index=1&wait=1s")
	for name, c := range map[string]func() (*Events, error){
		"a snapshot":    func() (*Events, error) { return c.WatchOnce(within(t), Watch{Snapshot: true}, 0) },
		"time backward": func() (*Events, error) { return c.WatchOnce(within(t), Watch{}, -time.Second) },
	} {
		if got, err := c(); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
