package figures

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	kills         = 20
	dataPerSecond = 200 // requests to the two survivors together
)

// group is a cluster of three servers whose leader is killed again and again.
type group struct {
	name    string
	servers []server
	// settled waits until all servers run and agree.
	settled func()
	leader  func() int
	// around is called with a survivor pair before each kill; what it returns
	// is called when the group works again.
	around func(survivors []int) (after func())
}

// server is one member of a group.
type server interface {
	Kill()
	Restart()
	// Write puts a key; nil means that it is acknowledged.
	Write(ctx context.Context, key string) error
	// Keys returns the keys that the server has.
	Keys() (map[string]bool, error)
}

// result is what a number of kills cost.
type result struct {
	gaps         []time.Duration // from each kill to the first write through a survivor
	acknowledged int
	lost         int
}

func BenchmarkLeaderKill(b *testing.B) {
	var rows []row
	b.Run("evenkeel", func(b *testing.B) {
		for b.Loop() {
			own, failures, requests := killEvenkeel(b)
			rows = []row{
				{"data requests at the survivors", fmt.Sprintf("%d/s", dataPerSecond), fmt.Sprint(requests)},
				{"of those, failed", "0", fmt.Sprint(failures)},
				{"first committed write, median", "≤ 0.50 s", seconds(quantile(own.gaps, 0.5))},
				{"first committed write, worst", "≤ 1.20 s", seconds(quantile(own.gaps, 1))},
				{"acknowledged writes", "", fmt.Sprint(own.acknowledged)},
				{"of those, lost", "0", fmt.Sprint(own.lost)},
			}
		}
	})
	b.Run("etcd", func(b *testing.B) {
		for b.Loop() {
			other := kill(b, newEtcd(b))
			rows = append(rows,
				row{"etcd, its defaults: first write, median", "", seconds(quantile(other.gaps, 0.5))},
				row{"etcd: first write, worst", "", seconds(quantile(other.gaps, 1))},
				row{"etcd: acknowledged writes", "", fmt.Sprint(other.acknowledged)},
				row{"etcd: of those, lost", "", fmt.Sprint(other.lost)})
		}
	})
	print(fmt.Sprintf("kill -9 of the leader, %d times", kills), rows...)
}

// kill kills the leader again and again while every survivor takes one write
// after the other.
func kill(b *testing.B, g *group) result {
	b.Helper()
	var all result
	var keys []string
	for round := range kills {
		g.settled()
		dead := g.leader()
		var survivors []int
		for i := range g.servers {
			if i != dead {
				survivors = append(survivors, i)
			}
		}
		after := g.around(survivors)
		gap, written := killOnce(b, g, dead, survivors, fmt.Sprintf("write-%d", round))
		after()
		progress("%s: kill %d of %d: %s", g.name, round+1, kills, seconds(gap))
		all.gaps = append(all.gaps, gap)
		keys = append(keys, written...)
		g.servers[dead].Restart()
	}
	g.settled()
	all.acknowledged = len(keys)
	for _, s := range g.servers {
		there, err := s.Keys()
		if err != nil {
			b.Fatal(err)
		}
		lost := 0
		for _, key := range keys {
			if !there[key] {
				lost++
			}
		}
		all.lost = max(all.lost, lost)
	}
	return all
}

// killOnce returns how long after the kill the first write through a survivor
// was acknowledged that had been sent after it, and all acknowledged keys.
func killOnce(b *testing.B, g *group, dead int, survivors []int, prefix string) (time.Duration, []string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	w := &writers{ctx: ctx, prefix: prefix}
	// Before the kill every survivor takes one write after the other, so that
	// some are under way when the leader dies.
	for _, i := range survivors {
		w.running.Go(func() {
			for !w.seesDeath() && ctx.Err() == nil {
				w.write(g.servers[i])
			}
		})
	}
	for w.acknowledged() < 20 && ctx.Err() == nil {
		pause(pollPause)
	}
	w.die()
	g.servers[dead].Kill()
	// After it a new write goes out every few milliseconds, without waiting
	// for those before: one that hangs must not hide that others would pass.
	for n := 0; w.first().IsZero() && ctx.Err() == nil; n++ {
		w.running.Go(func() { w.write(g.servers[survivors[n%len(survivors)]]) })
		pause(probePause)
	}
	cancel()
	w.running.Wait()
	if w.first().IsZero() {
		b.Fatalf("no write was acknowledged within %v after the kill", harness.Patience)
	}
	return w.firstAfter.Sub(w.killed), w.keys
}

// probePause is between two writes after a kill, and so the resolution of the
// figure.
const probePause = 10 * time.Millisecond

// writers send writes and remember which were acknowledged.
type writers struct {
	ctx     context.Context
	prefix  string
	running sync.WaitGroup

	mu         sync.Mutex // guards what follows
	sent       int
	keys       []string
	killed     time.Time // zero before the kill
	firstAfter time.Time // when the first write sent after the kill was acknowledged
}

func (w *writers) write(s server) {
	w.mu.Lock()
	w.sent++
	key, begin := fmt.Sprintf("%s-%d", w.prefix, w.sent), time.Now()
	w.mu.Unlock()
	err := s.Write(w.ctx, key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return
	}
	w.keys = append(w.keys, key)
	if w.firstAfter.IsZero() && !w.killed.IsZero() && begin.After(w.killed) {
		w.firstAfter = time.Now()
	}
}

func (w *writers) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed = time.Now()
}

func (w *writers) seesDeath() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.killed.IsZero()
}

func (w *writers) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.keys)
}

func (w *writers) first() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.firstAfter
}
