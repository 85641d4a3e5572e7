package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"time"

	"evenkeel/fsm"
)

// The image is the last published state, kept so that a node which starts can
// serve before it knows a leader. Its first line holds the index of the last
// command within it and a checksum of that (CRC-32C); the snapshot of the
// registry that follows has its own.
const (
	imageFormat = "evenkeel-image 1 %d %08x\n"
	// imageInterval is between two images, and imageShare at least that many
	// times what writing one takes, so that a large registry that changes all
	// the time does not keep a core busy.
	imageInterval = time.Second
	imageShare    = 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func imageChecksum(index uint64) uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d", index), castagnoli)
}

func writeImage(path string, v *view) error {
	return replaceFile(path, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, imageFormat, v.index, imageChecksum(v.index)); err != nil {
			return err
		}
		return v.state.WriteSnapshot(w)
	})
}

// readImage returns a nil state when there is no image.
func readImage(path string) (state *fsm.State, index uint64, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read image %q: %w", path, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewReaderSize(file, 1<<16)
	line, err := buffered.ReadString('\n')
	if err != nil {
		return nil, 0, fmt.Errorf("read image %q: it is truncated", path)
	}
	var checksum uint32
	if _, err := fmt.Sscanf(line, imageFormat, &index, &checksum); err != nil || checksum != imageChecksum(index) {
		return nil, 0, fmt.Errorf("read image %q: its first line is damaged, or of a newer build", path)
	}
	if state, err = fsm.ReadSnapshot(buffered); err != nil {
		return nil, 0, fmt.Errorf("read image %q: %w", path, err)
	}
	return state, index, nil
}

// keepImage writes an image when the published state changed, and once more
// when ctx ends.
func (n *Node) keepImage(ctx context.Context) {
	path := n.dir.file(fileImage)
	written := n.imageIndex
	save := func(v *view) time.Duration {
		if v.state.ClusterID() == "" || v.index == written {
			return 0
		}
		begun := time.Now()
		if err := writeImage(path, v); err != nil {
			if ok, _ := n.notices.allow("image", begun); ok {
				n.logger.Warn("the image for the next start is behind", "error", err)
			}
			return time.Since(begun)
		}
		written = v.index
		return time.Since(begun)
	}
	for {
		v := n.views.published.Load()
		took := save(v)
		if pause(ctx, max(imageInterval, imageShare*took)) != nil {
			break
		}
		select {
		case <-v.replaced:
			continue
		case <-ctx.Done():
		}
		break
	}
	save(n.views.published.Load())
}
