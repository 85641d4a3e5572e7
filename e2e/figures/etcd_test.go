package figures

import (
	"testing"

	"evenkeel/e2e/harness"
)

func newEtcd(b *testing.B) *group {
	b.Helper()
	members := harness.NewEtcd(b)
	g := &group{
		name:    "etcd",
		around:  func([]int) func() { return func() {} },
		settled: func() { harness.EtcdLeader(b, members) },
		leader:  func() int { return harness.EtcdLeader(b, members) },
	}
	for _, member := range members {
		g.servers = append(g.servers, member)
	}
	return g
}
