//go:build linux

package apibench

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	rounds = 3
	// pools is over how many pools the backends are spread.
	pools = 100
	// The backend that is read and watched.
	readPool, readName = "pool-0", "read"
)

// bed is the two clusters.
type bed struct {
	cluster *harness.Cluster
	members []*harness.EtcdMember
	next    int // the number of the next new object
}

// newBed starts both clusters; env is more of the environment of each node.
func newBed(t *testing.T, env ...string) *bed {
	t.Helper()
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3, Env: env})
	b := &bed{cluster: cluster, members: harness.NewEtcdBeside(t, cluster)}
	harness.EtcdLeader(t, b.members)
	for i := range pools {
		cluster.Nodes[0].Write(t, http.MethodPut, "/v1/pools/"+poolName(i), map[string]any{})
	}
	return b
}

func poolName(i int) string { return fmt.Sprintf("pool-%d", i%pools) }

// key is an object's path in both clusters, document what is written there.
func key(n int) string { return fmt.Sprintf("/v1/pools/%s/backends/backend-%07d", poolName(n), n) }

func document(n, weight int) []byte {
	return fmt.Appendf(nil, `{"address":"10.%d.%d.%d:8080","weight":%d,"tier":0,"zone":"zone-%d","admin_state":"ready",`+
		`"labels":{"app":"shop","version":"v2","team":"checkout"}}`, n>>16&255, n>>8&255, n&255, weight, n%3+1)
}

// nodeOrder is the places of the cluster's nodes, followers first; memberOrder of etcd's.
func (b *bed) nodeOrder(t *testing.T) []string {
	t.Helper()
	var order []string
	leader := b.cluster.Leader(t)
	for _, n := range b.cluster.Without(leader) {
		order = append(order, n.Address)
	}
	return append(order, leader.Address)
}

func (b *bed) memberOrder(t *testing.T) []string {
	t.Helper()
	var order []string
	leader := harness.EtcdLeader(t, b.members)
	for i, m := range b.members {
		if i != leader {
			order = append(order, m.ClientAddress())
		}
	}
	return append(order, b.members[leader].ClientAddress())
}

// web makes clients of the API, spread over the addresses.
func web(t *testing.T, count int, addresses []string, request func(c *webClient, n int) error) []client {
	t.Helper()
	var all []client
	for i := range count {
		c, err := dialWeb(addresses[i%len(addresses)])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, caller{func(n int) error { return request(c, n) }, c.close})
	}
	return all
}

// etcd makes clients of etcd, spread over the addresses.
func etcd(t *testing.T, count int, addresses []string, request func(c *etcdClient, n int) error) []client {
	t.Helper()
	var all []client
	for i := range count {
		c, err := dialEtcd(addresses[i%len(addresses)])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, caller{func(n int) error { return request(c, n) }, c.close})
	}
	return all
}

type caller struct {
	call func(n int) error
	end  func() error
}

func (c caller) request(n int) error { return c.call(n) }
func (c caller) close() error        { return c.end() }

// measured is what a span of load came to and what it cost.
type measured struct {
	outcome
	// servers and load are the processor time of a request, in µs: of the three
	// servers, and of this process.
	servers, load float64
}

// measure drives the clients and ends them.
func measure(t *testing.T, clients []client, pids []int, first int, span time.Duration) measured {
	t.Helper()
	servers, load := cpuOf(t, pids), ownCPU(t)
	o, err := drive(clients, first, span)
	if err != nil {
		t.Fatal(err)
	}
	m := measured{outcome: o}
	m.servers = float64((cpuOf(t, pids) - servers).Microseconds()) / float64(o.requests)
	m.load = float64((ownCPU(t) - load).Microseconds()) / float64(o.requests)
	if err := closeAll(clients); err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *bed) nodePIDs() (pids []int) {
	for _, n := range b.cluster.Nodes {
		pids = append(pids, n.PID())
	}
	return pids
}

func (b *bed) memberPIDs() (pids []int) {
	for _, m := range b.members {
		pids = append(pids, m.PID())
	}
	return pids
}

// tick is the unit of /proc/PID/stat; Linux has the same for all platforms that
// Go runs on.
const tick = 10 * time.Millisecond

func cpuOf(t *testing.T, pids []int) (sum time.Duration) {
	t.Helper()
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		// The second field is the command in parentheses and may hold blanks.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func micros(value float64) string { return fmt.Sprintf("%.0f µs", value) }
