//go:build linux

package faults

import (
	"bufio"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

// mixFor is how long the mix lasts unless EVENKEEL_MIX says otherwise, and
// EVENKEEL_SEED has it take a course that was taken before.
const mixFor = 5 * time.Minute

// mixed is one fault of the mix. It returns when all is well again; what it
// could cost the nodes of their own requests, it says to begin.
type mixed struct {
	name string
	do   func(b *bed, n *harness.Node, random *rand.Rand)
}

// mix are the faults that any node can meet at any time.
var mix = []mixed{
	{"kill -9", func(b *bed, n *harness.Node, _ *rand.Rand) {
		n.Kill()
		b.waitWrites(10)
		n.Start(b.t)
	}},
	{"clean restart", func(b *bed, n *harness.Node, _ *rand.Rand) {
		n.Stop(b.t)
		b.waitWrites(10)
		n.Start(b.t)
	}},
	{"pause", func(b *bed, n *harness.Node, random *rand.Rand) {
		n.Pause(b.t)
		hold(200*time.Millisecond + time.Duration(random.Int64N(int64(4*time.Second))))
		n.Resume(b.t)
	}},
	{"partition", func(b *bed, n *harness.Node, random *rand.Rand) {
		b.cutFor(n, network.Cut, network.Cut, random)
	}},
	{"nothing gets in", func(b *bed, n *harness.Node, random *rand.Rand) {
		b.cutFor(n, network.Cut, network.Link{}, random)
	}},
	{"nothing gets out", func(b *bed, n *harness.Node, random *rand.Rand) {
		b.cutFor(n, network.Link{}, network.Cut, random)
	}},
	{"no TCP", func(b *bed, n *harness.Node, random *rand.Rand) {
		link := network.Link{Lose: 1, OnlyTCP: true}
		b.cutFor(n, link, link, random)
	}},
	{"loss and delay", func(b *bed, n *harness.Node, random *rand.Rand) {
		link := network.Link{Lose: random.Float64() / 5, Delay: time.Duration(random.Int64N(int64(30 * time.Millisecond)))}
		b.cutFor(n, link, link, random)
	}},
	{"the disk hangs", func(b *bed, n *harness.Node, random *rand.Rand) {
		thaw := b.disks[n].freeze()
		hold(time.Duration(random.Int64N(int64(5 * time.Second))))
		thaw()
	}},
	{"the disk is full", func(b *bed, n *harness.Node, random *rand.Rand) {
		empty := b.disks[n].fill()
		hold(time.Duration(random.Int64N(int64(3 * time.Second))))
		empty()
	}},
	{"empty disk", func(b *bed, n *harness.Node, _ *rand.Rand) {
		n.Kill()
		if err := os.RemoveAll(n.Dir); err != nil {
			b.t.Fatal(err)
		}
		n.Start(b.t)
		b.hasItsVote(n)
	}},
}

func (b *bed) cutFor(n *harness.Node, in, out network.Link, random *rand.Rand) {
	b.lab.Isolate(b.number(n), in, out)
	hold(time.Second + time.Duration(random.Int64N(int64(4*time.Second))))
	b.lab.Heal()
}

// TestF22FaultsAreMixed at random, one after the other, for as long as asked.
func TestF22FaultsAreMixed(t *testing.T) {
	onlyInCampaign(t)
	length, seed := mixFor, uint64(time.Now().UnixNano())
	if text := os.Getenv("EVENKEEL_MIX"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("EVENKEEL_MIX %q: %v: write a duration, such as 10m", text, err)
		}
	}
	if text := os.Getenv("EVENKEEL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("EVENKEEL_SEED %q: %v: write the number that a run printed", text, err)
		}
	}
	r := newRow("F22", fmt.Sprintf("random mix, EVENKEEL_SEED=%d", seed), 0, 3*time.Second, -1)
	b := newBed(t, r, bedOptions{lab: true, disks: true, seed: seed})
	random := rand.New(rand.NewPCG(seed, 22))
	before := b.footprint()
	faults := 0
	for until := time.Now().Add(length); time.Now().Before(until); faults++ {
		n, fault := b.Nodes[random.IntN(len(b.Nodes))], mix[random.IntN(len(mix))]
		role := "a follower"
		if n == b.Leader(t) {
			role = "the leader"
		}
		f := b.begin(n)
		fault.do(b, n, random)
		b.WaitFormed(t)
		b.waitWrites(10)
		f.end()
		t.Logf("fault %d: %s, at %s %s", faults+1, fault.name, role, n.Name)
	}
	b.finish()
	r.note("%d faults; %s", faults, b.checkFootprint(before))
}

// footprint is what the nodes take together.
type footprint struct{ goroutines, descriptors, memory, disk int64 }

// grown bounds what may have come in the course of any number of faults. Memory
// and disk keep what a larger log took.
var grown = footprint{goroutines: 60, descriptors: 30, memory: 200 << 20, disk: 60 << 20}

func (b *bed) footprint() (sum footprint) {
	b.t.Helper()
	for _, n := range b.Running() {
		harness.Eventually(b.t, n.Name+" tells its metrics", func() error {
			goroutines, err := metric(n, "go_goroutines")
			if err != nil {
				return err
			}
			descriptors, err := metric(n, "process_open_fds")
			sum.goroutines += int64(goroutines)
			sum.descriptors += int64(descriptors)
			return err
		})
		sum.memory += residentMemory(b.t, n)
		sum.disk += used(b.t, n.Dir)
	}
	return sum
}

// checkFootprint fails the test if the nodes take much more than before once
// they have come to rest.
func (b *bed) checkFootprint(before footprint) string {
	b.t.Helper()
	var now footprint
	harness.Eventually(b.t, "the nodes take no more than before", func() error {
		now = b.footprint()
		if now.goroutines > before.goroutines+grown.goroutines || now.descriptors > before.descriptors+grown.descriptors ||
			now.memory > before.memory+grown.memory || now.disk > before.disk+grown.disk {
			return fmt.Errorf("%+v, before %+v", now, before)
		}
		return nil
	})
	return fmt.Sprintf("%d goroutines, %d descriptors, %d MB, %d MB of disk in all; before %d, %d, %d, %d",
		now.goroutines, now.descriptors, now.memory>>20, now.disk>>20, before.goroutines, before.descriptors, before.memory>>20, before.disk>>20)
}

// metric reads one number without labels from a node.
func metric(n *harness.Node, name string) (float64, error) {
	answer, err := n.Call(http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(strings.NewReader(string(answer.Body)))
	for lines.Scan() {
		if value, is := strings.CutPrefix(lines.Text(), name+" "); is {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", n.Name, name)
}

// used is how many bytes the files of a directory have.
func used(t testing.TB, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // it may just have been replaced
		}
		if info, err := entry.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
