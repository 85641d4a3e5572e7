package figures

import (
	"context"
	"fmt"
	"os/exec"
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
	for b.Loop() {
		own, failures, requests := killEvenkeel(b)
		rows := []row{
			{"data requests at the survivors", fmt.Sprintf("%d/s", dataPerSecond), fmt.Sprint(requests)},
			{"of those, failed", "0", fmt.Sprint(failures)},
			{"first committed write, median", "≤ 0.50 s", seconds(quantile(own.gaps, 0.5))},
			{"first committed write, worst", "≤ 1.20 s", seconds(quantile(own.gaps, 1))},
			{"acknowledged writes", "", fmt.Sprint(own.acknowledged)},
			{"of those, lost", "0", fmt.Sprint(own.lost)},
		}
		if _, err := exec.LookPath("etcd"); err != nil {
			b.Logf("etcd is not installed, so there is nothing to compare with: %v", err)
		} else {
			other := kill(b, newEtcd(b))
			rows = append(rows,
				row{"etcd, its defaults: first write, median", "1.20 s elsewhere", seconds(quantile(other.gaps, 0.5))},
				row{"etcd: first write, worst", "3.70 s elsewhere", seconds(quantile(other.gaps, 1))},
				row{"etcd: acknowledged writes, lost", "0", fmt.Sprintf("%d, %d", other.acknowledged, other.lost)})
		}
		print(fmt.Sprintf("kill -9 of the leader, %d times", kills), rows...)
	}
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
// was acknowledged that had been sent after it, and the acknowledged keys.
func killOnce(b *testing.B, g *group, dead int, survivors []int, prefix string) (time.Duration, []string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	var (
		mu     sync.Mutex // guards what follows
		keys   []string
		killed time.Time
		first  time.Time
	)
	warm := make(chan struct{}, len(survivors))
	write := func(i int) {
		for n := 0; ctx.Err() == nil; n++ {
			if n == 10 {
				warm <- struct{}{}
			}
			key := fmt.Sprintf("%s-%d-%d", prefix, i, n)
			sent := time.Now()
			err := g.servers[i].Write(ctx, key)
			mu.Lock()
			if err == nil {
				keys = append(keys, key)
			}
			if err == nil && !killed.IsZero() && sent.After(killed) {
				if first.IsZero() {
					first = time.Now()
				}
				cancel()
			}
			mu.Unlock()
		}
	}
	var writers sync.WaitGroup
	for _, i := range survivors {
		writers.Go(func() { write(i) })
	}
	for range survivors {
		select {
		case <-warm:
		case <-ctx.Done():
		}
	}
	mu.Lock()
	killed = time.Now()
	mu.Unlock()
	g.servers[dead].Kill()
	writers.Wait()
	if first.IsZero() {
		b.Fatalf("no write was acknowledged within %v after the kill", harness.Patience)
	}
	return first.Sub(killed), keys
}
