package cluster

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestATypicalWriteIsTheMedianOfFive(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		took    []time.Duration
		pending []time.Duration // how long they last by now
		want    time.Duration
	}{
		"no write":                            {nil, nil, 0},
		"four writes are too few to tell":     {[]time.Duration{900 * ms, 900 * ms, 900 * ms, 900 * ms}, nil, 0},
		"five":                                {[]time.Duration{5 * ms, 1 * ms, 3 * ms, 2 * ms, 4 * ms}, nil, 3 * ms},
		"two slow ones say nothing":           {[]time.Duration{900 * ms, 1 * ms, 900 * ms, 1 * ms, 2 * ms}, nil, 2 * ms},
		"three slow ones do":                  {[]time.Duration{900 * ms, 1 * ms, 900 * ms, 1 * ms, 700 * ms}, nil, 700 * ms},
		"the oldest are forgotten":            {[]time.Duration{900 * ms, 900 * ms, 900 * ms, 1 * ms, 1 * ms, 1 * ms, 2 * ms}, nil, 1 * ms},
		"a third slow one may be under way":   {[]time.Duration{1 * ms, 900 * ms, 1 * ms, 900 * ms, 1 * ms}, []time.Duration{800 * ms}, 800 * ms},
		"one that has just begun is no write": {[]time.Duration{5 * ms, 5 * ms, 5 * ms, 5 * ms, 5 * ms}, []time.Duration{1 * ms}, 5 * ms},
		"a single one that hangs":             {[]time.Duration{5 * ms, 5 * ms, 5 * ms, 5 * ms, 5 * ms}, []time.Duration{time.Hour}, 5 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWriteTimes()
				for i, took := range c.took {
					end := w.begin(uint64(i))
					time.Sleep(took)
					end(nil)
				}
				for _, lasts := range c.pending {
					w.begin(100)
					time.Sleep(lasts)
				}
				if got := w.typical(time.Now()); got != c.want {
					t.Errorf("it takes %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestWritesAreSlowForTheDisksSakeWhenMostOfASecondsAre(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		took []time.Duration // one after the other, with 1 ms in between
		slow bool
	}{
		"three of five behind many that are fast": {slices.Concat(slices.Repeat([]time.Duration{5 * ms}, 30), slices.Repeat([]time.Duration{78 * ms}, 3)), false},
		"half of them for a second":               {slices.Repeat([]time.Duration{78 * ms, 78 * ms, 5 * ms}, 10), false},
		"nearly all of them for a second":         {slices.Repeat([]time.Duration{55 * ms, 55 * ms, 55 * ms, 55 * ms, 55 * ms, 55 * ms, 5 * ms}, 3), true},
		"50 ms more behind many that are fast":    {slices.Concat(slices.Repeat([]time.Duration{5 * ms}, 100), slices.Repeat([]time.Duration{55 * ms}, 18)), true},
		"three that take a second each":           {slices.Concat(slices.Repeat([]time.Duration{5 * ms}, 100), slices.Repeat([]time.Duration{1005 * ms}, 3)), true},
		"a few that are slow, far apart":          {slices.Repeat([]time.Duration{55 * ms}, 5), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWriteTimes()
				for i, took := range c.took {
					end := w.begin(uint64(i))
					time.Sleep(took)
					end(nil)
					time.Sleep(ms)
				}
				if got := w.lasting(time.Now()); (got >= slowWrite) != c.slow {
					t.Errorf("writes take %v", got)
				}
				if got := w.typical(time.Now()); got < slowWrite {
					t.Errorf("the last five take %v: this says nothing", got)
				}
			})
		})
	}
}

// Of a disk that became slow with the last write the others hear at once.
func TestTheLastWriteIsAmongWhatTheOthersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriteTimes()
		for index := range uint64(6) {
			end := w.begin(10 + index)
			time.Sleep(time.Millisecond << (2 * index))
			end(nil)
		}
		if takes, wrote := w.written(time.Now()); takes != 1024*time.Millisecond || wrote != 15 {
			t.Errorf("a write takes %v and the last entry is %d, want 1.024s and 15", takes, wrote)
		}
	})
}

// A disk that fails at once is not to be taken for a fast one.
func TestAWriteThatFailedDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriteTimes()
		for index := range uint64(5) {
			end := w.begin(1 + index)
			time.Sleep(40 * time.Millisecond)
			end(nil)
		}
		for index := range uint64(5) {
			w.begin(6 + index)(errors.New("planted: the disk is broken"))
		}
		if takes, wrote := w.written(time.Now()); takes != 40*time.Millisecond || wrote != 5 {
			t.Errorf("a write takes %v and the last entry is %d, want 40ms and 5", takes, wrote)
		}
	})
}

func TestLeadershipGoesToFasterDisksOnly(t *testing.T) {
	const ms = time.Millisecond
	members := map[string]gossipMember{
		"unknown":    {wrote: 70},
		"as slow":    {takes: 90 * ms, wrote: 70},
		"half":       {takes: 50 * ms, wrote: 70},
		"fast":       {takes: 5 * ms, wrote: 70},
		"also fast":  {takes: 5 * ms, wrote: 70},
		"faster":     {takes: 2 * ms, wrote: 71},
		"behind":     {takes: 1 * ms, wrote: 69},
		"dead":       {takes: 1 * ms, wrote: 70, State: gossipDead},
		"on its own": {takes: 1 * ms, wrote: 70, meta: meta{Detached: true}},
	}
	candidates := []raft.ServerID{"not gossiped of"}
	for uid := range members {
		candidates = append(candidates, raft.ServerID(uid))
	}
	if got, want := faster(candidates, members, 100*ms, 70), []raft.ServerID{"faster", "also fast", "fast"}; !slices.Equal(got, want) {
		t.Errorf("leadership goes to %q, want %q", got, want)
	}
}

func TestOnlyAPulseTellsHowFastWritesAre(t *testing.T) {
	type said struct {
		takes time.Duration
		wrote uint64
	}
	for payload, want := range map[string]said{
		"":                           {}, // of an earlier build
		`{}`:                         {},
		`{"i":7}`:                    {0, 7},
		`{"w":1500,"i":7}`:           {1500 * time.Microsecond, 7},
		`{"w":1500,"i":7,"later":1}`: {1500 * time.Microsecond, 7},
		`{"w":-1,"i":7}`:             {},
		`{"w":1,"i":-7}`:             {},
		`{"w":1e300,"i":7}`:          {},
		`{"w":9000000000000,"i":7}`:  {},
		`{"w":"1","i":7}`:            {},
		"\x00\xff":                   {},
	} {
		takes, wrote := writesOf([]byte(payload))
		if got := (said{takes, wrote}); got != want {
			t.Errorf("%q says %v, want %v", payload, got, want)
		}
	}
}

// slowLog is a log on a disk that takes longer for a write.
type slowLog struct {
	raft.LogStore
	delay *atomic.Int64 // nanoseconds
}

func (s slowLog) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

func (s slowLog) StoreLogs(logs []*raft.Log) error {
	time.Sleep(time.Duration(s.delay.Load()))
	return s.LogStore.StoreLogs(logs)
}

// slowDisks gives every node that is started from now on a disk that can be
// made slow, by name.
func (c *testCluster) slowDisks(names ...string) map[string]*atomic.Int64 {
	delays := map[string]*atomic.Int64{}
	for _, name := range names {
		delays[name] = new(atomic.Int64)
	}
	c.disks(func(n *Node, log raft.LogStore) raft.LogStore { return slowLog{log, delays[n.Name()]} })
	return delays
}

const gaveWay = "the leadership is handed over"

func TestLeadershipLeavesASlowDisk(t *testing.T) {
	c := newTestCluster(t)
	delays := c.slowDisks("n1", "n2", "n3")
	c.form(3)
	slow := c.leader()
	delays[slow.Name()].Store(int64(300 * time.Millisecond))
	n := 0
	eventually(t, "the leadership is given to another", func() bool {
		n++
		c.put(slow, numbered(n))
		return strings.Contains(c.logs.String(), gaveWay) && c.leader() != slow
	})
}

func TestDisksThatAreSlowAlikeKeepTheLeader(t *testing.T) {
	c := newTestCluster(t)
	delays := c.slowDisks("n1", "n2", "n3")
	nodes := c.form(3)
	for _, delay := range delays {
		delay.Store(int64(100 * time.Millisecond))
	}
	eventually(t, "the leader's writes are slow", func() bool {
		c.put(nodes[0], numbered(0))
		return c.leader().writes.typical(time.Now()) >= slowWrite
	})
	for n := range 5 {
		c.put(nodes[0], numbered(1+n))
	}
	if strings.Contains(c.logs.String(), gaveWay) {
		t.Error("the leadership was handed over, to a disk that is not faster")
	}
}
