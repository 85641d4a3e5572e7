package fsm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"
	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// A snapshot is lines of text: a word that says what the line holds, a space
// and a JSON value. The first line is the header, the last one the trailer
// with the state's digest and a checksum of all bytes before it.
const (
	lineHeader  = "evenkeel-state"
	lineTrailer = "end"
	lineResult  = "result"
	lineOrigin  = "origin"
	lineRestore = "restore" // of a restore that is under way, and then its objects:
	lineStaged  = "staged"

	lineRevision = "revision" // of the journal,
	linePending  = "pending"  // one that waits for its confirmation,
	lineChange   = "change"   // and behind either what it changed
	lineKey      = "key"

	lineDataKey = "data_key"
	lineTicket  = "ticket" // one of [State.Tickets], in their order

	snapshotVersion = 1
	// maxLine bounds what one line of a snapshot may cost to read.
	maxLine = 8 << 20
)

type snapshotHeader struct {
	V            int    `json:"v"`
	ClusterID    string `json:"cluster_id"`
	FeatureLevel uint64 `json:"feature_level"`
	Revision     uint64 `json:"revision"`
	Version      uint64 `json:"version"`
	Applied      uint64 `json:"applied"`
	// JournalFloor is from level 5 on.
	JournalFloor uint64 `json:"journal_floor,omitempty"`
}

type snapshotTrailer struct {
	Digest   uint64 `json:"digest"`
	Checksum uint64 `json:"checksum"`
}

// WriteSnapshot writes the whole state. It may run beside any number of
// Apply calls on later states.
func (s *State) WriteSnapshot(w io.Writer) error {
	checksum := xxhash.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(w, checksum), 1<<18)
	lines := &lineWriter{to: buffered}
	lines.write(lineHeader, s.header())
	writeLines(lines, string(KindNode), s.Nodes())
	writeLines(lines, string(KindListener), s.Listeners())
	writeLines(lines, string(KindPool), s.Pools())
	writeLines(lines, string(KindRoute), s.Routes())
	lines.writeBackends(s.Backends())
	writeLines(lines, string(KindToken), s.Tokens())
	writeLines(lines, string(KindCertificate), s.Certificates())
	if s.dataKey != nil {
		lines.write(lineDataKey, s.dataKey)
	}
	writeLines(lines, lineTicket, slices.Values(s.tickets))
	s.writeJournal(lines)
	for _, p := range s.pending {
		lines.write(linePending, p)
		lines.writeChanges(p.changes)
	}
	writeLines(lines, lineKey, all(s.keys, ""))
	writeLines(lines, lineOrigin, all(s.origins, ""))
	writeLines(lines, lineResult, all(s.results, ""))
	if s.restore != nil {
		lines.write(lineRestore, s.restore)
		writeLines(lines, lineStaged, slices.Values(s.restore.objects))
	}
	if err := buffered.Flush(); err != nil && lines.err == nil {
		lines.err = err
	}
	lines.to = w
	lines.write(lineTrailer, snapshotTrailer{Digest: s.Digest(), Checksum: checksum.Sum64()})
	if lines.err != nil {
		return fmt.Errorf("write snapshot: %w", lines.err)
	}
	return nil
}

func (s *State) header() snapshotHeader {
	h := snapshotHeader{V: snapshotVersion, ClusterID: s.clusterID, FeatureLevel: s.featureLevel, Revision: s.revision, Version: s.version, Applied: s.applied}
	if s.featureLevel >= levelHistory {
		h.JournalFloor = s.journalFloor
	}
	return h
}

// lineWriter keeps the first error.
type lineWriter struct {
	to  io.Writer
	err error
}

func (l *lineWriter) write(word string, value any) {
	if l.err != nil {
		return
	}
	data, err := json.Marshal(value)
	if err == nil {
		line := append(append(append(make([]byte, 0, len(word)+len(data)+2), word...), ' '), data...)
		_, err = l.to.Write(append(line, '\n'))
	}
	l.err = err
}

func writeLines[V any](l *lineWriter, word string, values iter.Seq[V]) {
	for value := range values {
		l.write(word, value)
	}
}

func (l *lineWriter) writeBackends(backends iter.Seq[*Backend]) {
	var line []byte
	for b := range backends {
		var ok bool
		line = append(append(line[:0], KindBackend...), ' ')
		if line, ok = appendBackend(line, b); !ok {
			l.write(string(KindBackend), b)
			continue
		}
		line = append(line, '\n')
		if l.err == nil {
			_, l.err = l.to.Write(line)
		}
	}
}

// ReadSnapshot is the inverse of [State.WriteSnapshot]. It refuses what is
// truncated, altered or of a newer version, and then returns no state.
func ReadSnapshot(r io.Reader) (*State, error) {
	d := newDraft(New())
	trailer, checksum, err := d.readLines(bufio.NewReaderSize(r, 1<<18))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if trailer.Checksum != checksum {
		return nil, errors.New("read snapshot: its checksum is wrong: it was altered or damaged")
	}
	d.completeJournal()
	d.setObservers(candidatesOf(below(d.nodes, "")))
	d.changesFloor = d.version
	s := d.commit()
	if digest := s.Digest(); digest != trailer.Digest {
		return nil, fmt.Errorf("read snapshot: its digest is %016x, its content gives %016x: it was written by an incompatible build", trailer.Digest, digest)
	}
	return s, nil
}

// readLines fills the draft and returns the trailer and the checksum of what
// precedes it.
func (d *draft) readLines(r *bufio.Reader) (snapshotTrailer, uint64, error) {
	checksum := xxhash.New()
	var trailer snapshotTrailer
	var read backendReader
	for number := 1; ; number++ {
		line, err := readLine(r)
		if err == io.EOF {
			return trailer, 0, fmt.Errorf("it ends after line %d without its trailer: it is truncated", number-1)
		}
		if err != nil {
			return trailer, 0, fmt.Errorf("line %d: %w", number, err)
		}
		word, value, _ := bytes.Cut(line, []byte{' '})
		switch {
		case (number == 1) != (string(word) == lineHeader):
			return trailer, 0, fmt.Errorf("line %d is %q: it is not a snapshot of a registry", number, clip(string(word)))
		case string(word) == lineTrailer:
			if err := decodeStrict(value, &trailer); err != nil {
				return trailer, 0, fmt.Errorf("line %d, the trailer: %w", number, err)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				return trailer, 0, fmt.Errorf("something follows the trailer in line %d", number)
			}
			return trailer, checksum.Sum64(), nil
		}
		if err := d.readEntry(string(word), value, &read); err != nil {
			return trailer, 0, fmt.Errorf("line %d, a %s: %w", number, clip(string(word)), err)
		}
		_, _ = checksum.Write(line)
		_, _ = checksum.Write([]byte{'\n'})
	}
}

// readLine returns the next line without its end; the slice is valid until
// the next call.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		whole := slices.Clone(line)
		for err == bufio.ErrBufferFull && len(whole) <= maxLine {
			line, err = r.ReadSlice('\n')
			whole = append(whole, line...)
		}
		line = whole
	}
	switch {
	case len(line) > maxLine:
		return nil, fmt.Errorf("it has more than %d bytes", maxLine)
	case err == io.EOF && len(line) > 0:
		return nil, errors.New("it is cut: the snapshot is truncated")
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

func (d *draft) readEntry(word string, value []byte, read *backendReader) error {
	switch word {
	case lineHeader:
		return d.readHeader(value)
	case string(KindNode):
		return readAs(value, func(n *Node) {
			d.nodes.Insert([]byte(n.UID), n)
			d.counts[KindNode]++
			d.sum += hashEntry(KindNode, n)
		})
	case string(KindListener):
		return readObject(d, d.listeners, value)
	case string(KindPool):
		return readObject(d, d.pools, value)
	case string(KindRoute):
		return readObject(d, d.routes, value)
	case string(KindBackend):
		return d.readBackend(read, value)
	case string(KindToken):
		return readObject(d, d.tokens, value)
	case string(KindCertificate):
		return readObject(d, d.certs, value)
	case lineDataKey:
		return readAs(value, d.keepDataKey)
	case lineTicket:
		return readAs(value, func(t *Ticket) { d.keepTickets(append(slices.Clip(d.tickets), *t)) })
	case lineRevision, linePending, lineChange, lineKey:
		return d.readHistory(word, value, &read.changes)
	case lineOrigin:
		var o origin
		if err := decodeStrict(value, &o); err != nil {
			return err
		}
		d.origins.Insert([]byte(o.UID), &o)
		return nil
	case lineResult:
		var r record
		if err := decodeStrict(value, &r); err != nil {
			return err
		}
		d.results.Insert(resultKey(CommandID{r.Origin, r.Seq}), &r)
		return nil
	case lineRestore:
		d.restore = &restoring{}
		return decodeStrict(value, d.restore)
	case lineStaged:
		var put Put
		if err := decodeStrict(value, &put); err != nil {
			return err
		}
		if d.restore == nil {
			return errors.New("no restore precedes it")
		}
		d.restore.objects = append(d.restore.objects, put)
		return nil
	}
	return errors.New("this build does not know what that is: run a newer build")
}

func (d *draft) readHeader(value []byte) error {
	var h snapshotHeader
	if err := decodeStrict(value, &h); err != nil {
		return err
	}
	if h.V != snapshotVersion {
		return fmt.Errorf("the version is %d, this build reads %d: run a newer build", h.V, snapshotVersion)
	}
	d.clusterID, d.featureLevel = h.ClusterID, h.FeatureLevel
	d.revision, d.version, d.applied = h.Revision, h.Version, h.Applied
	d.journalFloor = h.JournalFloor
	if h.FeatureLevel < levelHistory {
		d.journalFloor = h.Revision
	}
	return nil
}

// readHistory reads a line of what levelHistory brought. changes is where the
// changes that follow belong.
func (d *draft) readHistory(word string, value []byte, changes **[]Change) error {
	switch word {
	case lineRevision:
		var entry Revision
		if err := decodeStrict(value, &entry); err != nil {
			return err
		}
		d.journal.Insert(versionKey(entry.Revision), &entry)
		*changes = &entry.Changes
	case linePending:
		var p Pending
		if err := decodeStrict(value, &p); err != nil {
			return err
		}
		d.pending = append(d.pending, &p)
		*changes = &p.changes
	case lineChange:
		var w wireChange
		if err := decodeStrict(value, &w); err != nil {
			return err
		}
		if *changes == nil {
			return errors.New("no revision precedes it")
		}
		c, err := w.decode()
		if err != nil {
			return err
		}
		**changes = append(**changes, c)
	case lineKey:
		var r keyRecord
		if err := decodeStrict(value, &r); err != nil {
			return err
		}
		d.insertKey(&r)
	}
	return nil
}

func readObject[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], value []byte) error {
	return readAs(value, func(o *Object[S, T]) {
		store(d, tree, o)
		d.index(any(o).(AnyObject))
	})
}

func (d *draft) readBackend(r *backendReader, value []byte) error {
	b := r.read(value)
	if b == nil {
		return readObject(d, d.backends, value)
	}
	storeHashed(d, d.backends, b, hashEncoded(KindBackend, value))
	d.index(b)
	return nil
}

// readAs need not refuse unknown fields: they would change the digest.
func readAs[V any](value []byte, use func(*V)) error {
	entry := new(V)
	if err := json.Unmarshal(value, entry); err != nil {
		return err
	}
	use(entry)
	return nil
}
