//go:build linux

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// disk is a small file system of its own, on a file.
type disk struct {
	path string
	t    *testing.T
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// newDisk mounts a file system of 48 MB until the test ends, and after its
// nodes did.
func newDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	image, d := filepath.Join(dir, "image"), &disk{filepath.Join(dir, "mounted"), t}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "truncate", "--size", "48M", image)
	run(t, "mkfs.ext4", "-q", "-F", image)
	run(t, "mount", "-o", "loop", image, d.path)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", d.path).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", d.path, err, out)
		}
	})
	return d
}

// freeze has all writes hang until the returned function is called.
func (d *disk) freeze() (thaw func()) {
	d.t.Helper()
	run(d.t, "fsfreeze", "--freeze", d.path)
	thaw = sync.OnceFunc(func() { run(d.t, "fsfreeze", "--unfreeze", d.path) })
	d.t.Cleanup(thaw)
	return thaw
}

// fill leaves no room until the returned function is called.
func (d *disk) fill() (empty func()) {
	d.t.Helper()
	name := filepath.Join(d.path, "fill")
	file, err := os.Create(name)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(block)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			d.t.Error(err)
		}
	}
}

// cluster is three nodes that each have a disk of their own, under load.
type cluster struct {
	*harness.Cluster
	disks map[*harness.Node]*disk
	load  *harness.Load
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("EVENKEEL_FAULTS") == "" {
		t.Skip("it runs for make faults")
	}
	if os.Geteuid() != 0 {
		t.Skip("to mount file systems needs root")
	}
	c := &cluster{disks: map[*harness.Node]*disk{}}
	var disks []*disk
	for range 3 { // mounted before the nodes start, so unmounted after they ended
		disks = append(disks, newDisk(t))
	}
	c.Cluster = harness.Prepare(t, harness.Options{Nodes: 3})
	for i, n := range c.Nodes {
		n.Dir = filepath.Join(disks[i].path, "data")
		c.disks[n] = disks[i]
		n.Start(t)
	}
	c.WaitFormed(t)
	c.Nodes[0].Add(t, harness.NewBackends(t, 2)...)
	for _, n := range c.Nodes {
		n.WaitServes(t)
	}
	addresses := harness.HTTPAddresses(c.Nodes)
	c.load = harness.StartLoad(t, 1000, addresses...)
	c.load.WaitRequests(t, 100, addresses...)
	return c
}

// detached waits until a node says that it has no part in Raft.
func detached(t *testing.T, n *harness.Node) {
	t.Helper()
	harness.Eventually(t, n.Name+" is detached", func() error {
		info, err := n.Cluster()
		if err == nil && info.Detached == "" {
			err = fmt.Errorf("%+v", info)
		}
		return err
	})
}

// healed checks what holds once the fault is over.
func (c *cluster) healed(t *testing.T, writes *harness.Writes) {
	t.Helper()
	c.WaitFormed(t)
	writes.Stop()
	c.WaitSame(t)
	for _, n := range c.Nodes {
		writes.CheckKept(t, n.API)
	}
	c.load.WaitRequests(t, 100, harness.HTTPAddresses(c.Nodes)...)
	c.load.StopClean(t)
}

// TestF10TheLeadersDiskHangs: leadership leaves, traffic does not notice, and
// the node takes part again by itself.
func TestF10TheLeadersDiskHangs(t *testing.T) {
	c := newCluster(t)
	leader := c.Leader(t)
	rest := c.Without(leader)
	writes := harness.StartWrites(t, "hang", harness.APIs(c.Nodes)...)
	writes.WaitAcknowledged(t, 10)
	begun := time.Now()
	thaw := c.disks[leader].freeze()
	detached(t, leader)
	harness.Eventually(t, "another node leads", func() error {
		info, err := rest[0].Cluster()
		if err == nil && (info.Leader == "" || info.Leader == leader.Name) {
			err = fmt.Errorf("%+v", info)
		}
		return err
	})
	t.Logf("the leadership left after %v", time.Since(begun).Round(10*time.Millisecond))
	writes.WaitAcknowledged(t, 50)
	thaw()
	thawed := time.Now()
	c.healed(t, writes)
	t.Logf("all was well %v after the thaw", time.Since(thawed).Round(10*time.Millisecond))
}

// TestF10AllDisksHang: writes fail, traffic does not.
func TestF10AllDisksHang(t *testing.T) {
	c := newCluster(t)
	writes := harness.StartWrites(t, "hang", harness.APIs(c.Nodes)...)
	writes.WaitAcknowledged(t, 10)
	var thaws []func()
	for _, n := range c.Nodes {
		thaws = append(thaws, c.disks[n].freeze())
	}
	harness.Eventually(t, "no node has a leader", func() error {
		for _, n := range c.Nodes {
			if info, err := n.Cluster(); err != nil || info.Quorum {
				return fmt.Errorf("%s: %+v, %v", n.Name, info, err)
			}
		}
		return nil
	})
	c.load.WaitRequests(t, 500, harness.HTTPAddresses(c.Nodes)...)
	for _, thaw := range thaws {
		thaw()
	}
	c.healed(t, writes)
}

// TestF11TheLeadersDiskIsFull for a while.
func TestF11TheLeadersDiskIsFull(t *testing.T) {
	c := newCluster(t)
	leader := c.Leader(t)
	writes := harness.StartWrites(t, "full", harness.APIs(c.Without(leader))...)
	writes.WaitAcknowledged(t, 10)
	empty := c.disks[leader].fill()
	harness.Eventually(t, "another node leads", func() error {
		info, err := c.Without(leader)[0].Cluster()
		if err == nil && (info.Leader == "" || info.Leader == leader.Name) {
			err = fmt.Errorf("%+v", info)
		}
		return err
	})
	writes.WaitAcknowledged(t, 50)
	empty()
	c.healed(t, writes)
}
