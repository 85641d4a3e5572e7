package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

const (
	// snapshotTimeout bounds the sending of a snapshot, and a restore.
	snapshotTimeout = 10 * time.Minute
	// maxSnapshot bounds one that is restored, in bytes.
	maxSnapshot = 256 << 20
	// partBytes is how much of a restore one command holds, at least one object;
	// an object has at most some 100 KB, a command at most 1 MiB.
	partBytes = 512 << 10
	// partPause is between attempts to write a part without a leader, and
	// partPatience how long they go on.
	partPause    = 100 * time.Millisecond
	partPatience = 10 * time.Second
)

// snapshotType is the media type of a snapshot: lines of text that end with a
// checksum, see [fsm.State.WriteSnapshot].
const snapshotType = "application/vnd.evenkeel.snapshot"

func (a *API) snapshot(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	if err := allow(w, time.Now().Add(snapshotTimeout)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", snapshotType)
	return gone(s.WriteSnapshot(w)) // a reader finds what was cut by its end
}

// allow gives a request more time than others have.
func allow(w http.ResponseWriter, until time.Time) error {
	control := http.NewResponseController(w)
	err := errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until))
	if errors.Is(err, http.ErrNotSupported) { // it has none
		return nil
	}
	return err
}

// restored is the answer to a restore.
type restored struct {
	Revision uint64 `json:"revision"`
	Objects  int    `json:"objects"`
}

// restoreSnapshot replaces all objects by those of a snapshot, at one revision.
// Identity, nodes, health and the data key stay those of this cluster.
func (a *API) restoreSnapshot(w http.ResponseWriter, r *http.Request) error {
	if err := checkLength(r, maxSnapshot); err != nil {
		return err
	}
	certificates := r.URL.Query().Get("certificates")
	if certificates != "" && certificates != certificatesKeep {
		return problem.New(problem.InvalidRequest, "certificates %q: write keep, or leave it out to restore those of the snapshot: nothing was changed", clip(certificates))
	}
	if a.restoring.Swap(true) {
		return problem.New(problem.Overloaded, "this node restores another snapshot: nothing was changed").With("Retry-After", "10")
	}
	defer a.restoring.Store(false)
	until := time.Now().Add(snapshotTimeout)
	if err := allow(w, until); err != nil {
		return err
	}
	saved, err := readSnapshot(http.MaxBytesReader(w, r.Body, maxSnapshot))
	if err != nil {
		return err
	}
	// It goes on without the client: what it began is to end.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), until)
	defer cancel()
	objects, err := a.restorable(ctx, saved, certificates == certificatesKeep)
	if err != nil {
		return err
	}
	parts, err := partsOf(objects)
	if err != nil {
		return err
	}
	for _, part := range parts {
		result, err := a.writePart(ctx, actor(r), part)
		if err == nil && result.Err != nil {
			err = restoreRefused(result.Err)
		}
		if err != nil {
			// If this fails too, the leader gives the parts up after a while.
			_, _ = a.config.Cluster.Propose(ctx, fsm.Command{Actor: actor(r), Op: fsm.RestorePart{ID: part.ID, Abort: true}})
			return err
		}
	}
	s := a.config.Cluster.State()
	a.setRevision(w, s.Revision())
	return writeJSON(w, http.StatusOK, restored{Revision: s.Revision(), Objects: len(objects)})
}

func readSnapshot(body io.Reader) (*fsm.State, error) {
	watched := &failingReader{from: body}
	s, err := fsm.ReadSnapshot(watched)
	switch {
	case watched.err != nil:
		return nil, bodyProblem(watched.err)
	case err != nil:
		return nil, problem.New(problem.InvalidRequest, "the body is no snapshot that can be restored: %s: nothing was changed", clip(err.Error()))
	}
	return s, nil
}

// failingReader remembers what a body failed of, its end aside.
type failingReader struct {
	from io.Reader
	err  error
}

// Read implements [io.Reader].
func (f *failingReader) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// certificatesKeep, as the query parameter certificates, has this cluster's
// certificates stay as they are, in place of those of the snapshot.
const certificatesKeep = "keep"

// restorable returns what takes the place of all objects: those of the snapshot, whose
// private keys are sealed for this cluster. What this cluster's part of that is, is
// not read before this node is up to date: else those that stay would be old ones.
func (a *API) restorable(ctx context.Context, saved *fsm.State, keep bool) ([]fsm.Put, error) {
	if keep || saved.Count(fsm.KindCertificate) > 0 {
		if err := a.config.Cluster.ReadIndex(ctx); err != nil {
			return nil, unplanned(err)
		}
	}
	s := a.config.Cluster.State()
	var objects []fsm.Put
	if keep {
		for put := range s.Objects() {
			if put.Spec.Kind() == fsm.KindCertificate {
				objects = append(objects, put)
			}
		}
	}
	sealed, err := a.resealed(s, saved, keep)
	if err != nil {
		return nil, err
	}
	for put := range saved.Objects() {
		if spec, is := put.Spec.(fsm.CertificateSpec); is {
			if keep {
				continue
			}
			spec.SealedKey = sealed[put.Name]
			put.Spec = spec
		}
		objects = append(objects, put)
	}
	return objects, nil
}

// resealed returns the private keys of the snapshot's certificates, sealed for this
// cluster.
func (a *API) resealed(s, saved *fsm.State, none bool) (map[string]string, error) {
	if none || saved.Count(fsm.KindCertificate) == 0 {
		return nil, nil
	}
	if a.authorized.sealer == nil {
		return nil, problem.New(problem.NotYet, "this node seals no private keys: nothing was changed")
	}
	var names []string
	for certificate := range saved.Certificates() {
		names = append(names, certificate.Name)
	}
	reseal, err := a.authorized.sealer.Reseal(s, saved)
	switch {
	case errors.Is(err, cluster.ErrCannotSeal):
		return nil, problem.New(problem.NotYet, "%s: nothing was changed", err).With("Retry-After", "1")
	case err != nil:
		return nil, foreignKeys(names, err)
	}
	sealed := map[string]string{}
	var faulty []string
	var fault error
	for certificate := range saved.Certificates() {
		text, err := reseal(certificate)
		if err != nil {
			faulty, fault = append(faulty, certificate.Name), err
			continue
		}
		sealed[certificate.Name] = text
	}
	if fault != nil {
		return nil, foreignKeys(faulty, fault)
	}
	return sealed, nil
}

// foreignKeys refuses a snapshot with private keys that nobody here could open.
func foreignKeys(certificates []string, why error) error {
	return problem.New(problem.InvalidRequest, "the private keys of the snapshot's certificates (%s) cannot be opened here: %s. "+
		"Give the secret of the cluster that it was saved in (evenkeel snapshot restore --old-secret-file FILE), or have this cluster's certificates stay in place of them "+
		"(--keep-certificates, certificates=keep), for which those that the snapshot names have to be written here first: nothing was changed", few(certificates), clip(why.Error()))
}

// partsOf cuts objects into commands.
func partsOf(objects []fsm.Put) ([]fsm.RestorePart, error) {
	id := rand.Text()
	parts, size := []fsm.RestorePart{{ID: id}}, 0
	for _, put := range objects {
		text, err := json.Marshal(put)
		if err != nil {
			return nil, fmt.Errorf("restore %s: %w", put.Ref(), err)
		}
		if size += len(text); size > partBytes {
			parts, size = append(parts, fsm.RestorePart{ID: id, Number: len(parts)}), len(text)
		}
		last := &parts[len(parts)-1]
		last.Objects = append(last.Objects, put)
	}
	parts[len(parts)-1].Last = true
	return parts, nil
}

// writePart waits out a change of the leader.
func (a *API) writePart(ctx context.Context, by string, part fsm.RestorePart) (fsm.Result, error) {
	for until := time.Now().Add(partPatience); ; {
		result, err := a.config.Cluster.Propose(ctx, fsm.Command{Actor: by, Op: part})
		again := errors.Is(err, cluster.ErrNoQuorum) || errors.Is(err, cluster.ErrOverloaded)
		if !again || time.Now().After(until) {
			return result, err
		}
		select {
		case <-time.After(partPause):
		case <-ctx.Done():
			return result, err
		}
	}
}

func restoreRefused(refusal *fsm.Error) error {
	detail := messages(refusal.Faults)
	switch refusal.Code {
	case fsm.CodePrecondition:
		return problem.New(problem.Interrupted, "%s: nothing was changed", detail)
	case fsm.CodeLimit:
		return problem.New(problem.RegistryFull, "%s: nothing was changed", detail)
	}
	return problem.New(problem.InvalidRequest, "the snapshot cannot be restored here: %s: nothing was changed", detail)
}
