package cluster

import (
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
)

// directory knows where each UID was last seen. Authenticated greetings and
// gossip fill it, and it is kept on disk, so that a node which restarts finds
// its peers before gossip is there. Safe for concurrent use.
type directory struct {
	path   string
	logger *slog.Logger
	// moved is called, without the lock, when a UID is found at another
	// address than before.
	moved func(uid string)

	mu    sync.Mutex
	peers map[string]savedPeer
	dirty chan struct{} // holds a token while the file is behind
}

// savedPeer is one line of peers.json.
type savedPeer struct {
	Name string `json:"name,omitempty"`
	Addr string `json:"addr"`
}

func openDirectory(dir string, logger *slog.Logger) *directory {
	d := &directory{path: filepath.Join(dir, filePeers), logger: logger, moved: func(string) {}, peers: map[string]savedPeer{}, dirty: make(chan struct{}, 1)}
	if _, err := readJSON(d.path, &d.peers); err != nil {
		// Nothing rests on this file alone: gossip and --join fill it again.
		logger.Warn("the list of peers is not readable and starts empty", "error", err)
		d.peers = map[string]savedPeer{}
	}
	return d
}

// lookup is what the peer port asks before it dials a UID.
func (d *directory) lookup(uid string) (addr string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	peer, ok := d.peers[uid]
	return peer.Addr, ok
}

func (d *directory) name(uid string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[uid].Name
}

// all returns a copy.
func (d *directory) all() map[string]savedPeer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.peers)
}

// learn records where a UID is now.
func (d *directory) learn(uid string, peer savedPeer) {
	if uid == "" || peer.Addr == "" {
		return
	}
	d.mu.Lock()
	old, known := d.peers[uid]
	if peer.Name == "" {
		peer.Name = old.Name
	}
	d.peers[uid] = peer
	d.mu.Unlock()
	if old == peer {
		return
	}
	d.changed()
	if known && old.Addr != peer.Addr {
		d.logger.Info("a node has a new address", "uid", uid, "member", peer.Name, "old", old.Addr, "new", peer.Addr)
		d.moved(uid)
	}
}

// forget drops a node that is no member any more.
func (d *directory) forget(uid string) {
	d.mu.Lock()
	_, known := d.peers[uid]
	delete(d.peers, uid)
	d.mu.Unlock()
	if known {
		d.changed()
	}
}

func (d *directory) changed() {
	select {
	case d.dirty <- struct{}{}:
	default:
	}
}

// save writes the file if it is behind.
func (d *directory) save() error {
	select {
	case <-d.dirty:
	default:
		return nil
	}
	if err := replaceJSON(d.path, d.all()); err != nil {
		d.changed()
		return err
	}
	return nil
}
