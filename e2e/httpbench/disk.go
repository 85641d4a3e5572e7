//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// diskWrites is what a node wrote a second.
type diskWrites struct {
	images    float64 // and snapshots, as far as they were complete
	megabytes float64
}

// watchDisk counts what a node writes as a whole into its data directory: its
// image, which is replaced, and snapshots, which are added; and how much it
// writes altogether. The function that it returns ends the count.
func watchDisk(pid int, dir string) (stop func() (diskWrites, error)) {
	begin := time.Now()
	before, err := writtenBytes(pid)
	images := watchImages(dir)
	return func() (diskWrites, error) {
		span := time.Since(begin).Seconds()
		after, afterErr := writtenBytes(pid)
		return diskWrites{float64(images()) / span, float64(after-before) / 1e6 / span}, errors.Join(err, afterErr)
	}
}

// writtenBytes returns how much a process has written so far, to files and, so
// far as it uses write for that, to sockets.
func writtenBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	return parseCount(string(text), "wchar")
}

// watchImages counts images and snapshots until the function that it returns
// is called.
func watchImages(dir string) (stop func() int) {
	quit, result := make(chan struct{}), make(chan int)
	go func() {
		count, before := 0, images(dir)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				result <- count
				return
			case <-ticker.C:
			}
			now := images(dir)
			for name, at := range now {
				if last, known := before[name]; !known || !at.Equal(last) {
					count++
				}
			}
			before = now
		}
	}()
	return func() int {
		close(quit)
		return <-result
	}
}

// images returns when the image and each snapshot were written. One that
// vanishes meanwhile is left out.
func images(dir string) map[string]time.Time {
	found := map[string]time.Time{}
	snapshots, _ := os.ReadDir(filepath.Join(dir, "snapshots")) // none yet
	for _, snapshot := range snapshots {
		found[snapshot.Name()] = time.Time{} // they are added and never written again
	}
	if info, err := os.Stat(filepath.Join(dir, "image")); err == nil {
		found["image"] = info.ModTime()
	}
	return found
}
