package storebench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// dataSize is that of a change of one backend, in bytes.
const dataSize = 300

// appender stores a batch of entries durably.
type appender struct {
	name  string
	store func(batch []*raft.Log) error
	took  []time.Duration
}

// BenchmarkAppend appends a batch to each store in turn, so that whatever else
// the disk does meets them alike; the ratios are what to look at. Beside them
// stand one and two appends of as many bytes to a file that has its size
// already, each followed by fdatasync: no store can do with less than the one,
// and bbolt syncs twice for each commit. The directory is EVENKEEL_BENCH_DIR or
// a temporary one, on the disk to be measured.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			dir := benchDir(b)
			all := []*appender{openBolt(b, dir), openWAL(b, dir), bare(b, dir, 1), bare(b, dir, 2)}
			index := uint64(1)
			for b.Loop() {
				batch := entries(index, size)
				index += uint64(size)
				for _, a := range all {
					begun := time.Now()
					if err := a.store(batch); err != nil {
						b.Fatalf("%s: %v", a.name, err)
					}
					a.took = append(a.took, time.Since(begun))
				}
			}
			report(b, all)
		})
	}
}

func report(b *testing.B, all []*appender) {
	medians := map[string]float64{}
	for _, a := range all {
		slices.Sort(a.took)
		medians[a.name] = float64(a.took[len(a.took)/2]) / 1e6
		b.ReportMetric(medians[a.name], a.name+"-p50-ms")
		b.ReportMetric(float64(a.took[len(a.took)*99/100])/1e6, a.name+"-p99-ms")
	}
	b.ReportMetric(medians["bolt"]/medians["wal"], "bolt/wal")
	b.ReportMetric(medians["bolt"]/medians["2sync"], "bolt/2sync")
	b.ReportMetric(0, "ns/op") // of all four together
}

func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("EVENKEEL_BENCH_DIR"), "evenkeel-storebench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	return dir
}

// entries are as cluster's checkedLog stores them, the checksum in Extensions.
func entries(index uint64, count int) []*raft.Log {
	var batch []*raft.Log
	for i := range uint64(count) {
		batch = append(batch, &raft.Log{
			Index: index + i, Term: 3, Type: raft.LogCommand, AppendedAt: time.Now(),
			Data: bytes.Repeat([]byte{byte(index)}, dataSize), Extensions: []byte{1, 2, 3, 4},
		})
	}
	return batch
}

// openBolt opens raft-boltdb with the options of cluster/store.go.
func openBolt(b *testing.B, dir string) *appender {
	b.Helper()
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(dir, "raft.db"),
		BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeAll(b, store) })
	return &appender{name: "bolt", store: store.StoreLogs}
}

func openWAL(b *testing.B, dir string) *appender {
	b.Helper()
	path := filepath.Join(dir, "wal")
	if err := os.Mkdir(path, 0o700); err != nil {
		b.Fatal(err)
	}
	log, err := wal.Open(path, wal.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeAll(b, log) })
	return &appender{name: "wal", store: log.StoreLogs}
}

func closeAll(b *testing.B, open io.Closer) {
	if err := open.Close(); err != nil {
		b.Error(err)
	}
}

// bareSize is what a bare file goes round in.
const bareSize = 64 << 20

// bare writes the bytes of the entries and syncs, so many times per batch.
func bare(b *testing.B, dir string, times int) *appender {
	b.Helper()
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("bare-%d", times)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeAll(b, file) })
	if _, err := file.Write(make([]byte, bareSize)); err != nil {
		b.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	var at int64
	return &appender{name: fmt.Sprintf("%dsync", times), store: func(batch []*raft.Log) error {
		bytes := make([]byte, len(batch)*dataSize)
		for range times {
			if _, err := file.WriteAt(bytes, at%(bareSize-int64(len(bytes)))); err != nil {
				return err
			}
			at += int64(len(bytes))
			if err := unix.Fdatasync(int(file.Fd())); err != nil {
				return err
			}
		}
		return nil
	}}
}
