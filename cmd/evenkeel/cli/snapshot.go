package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

const (
	// snapshotTimeout is how long a snapshot may be under way; a large one has
	// some 60 MB.
	snapshotTimeout = 10 * time.Minute
	snapshotType    = "application/vnd.evenkeel.snapshot"
)

func (a *App) snapshotCommand() *cobra.Command {
	cmd := Group("snapshot", "save the whole registry to a file, and restore it")
	cmd.AddCommand(a.snapshotSave(), a.snapshotInspect(), a.snapshotRestore())
	return cmd
}

func (a *App) snapshotSave() *cobra.Command {
	cmd := &cobra.Command{
		Use: "save FILE", Short: "save the whole registry to a file",
		Long: "Save the whole registry, as it is at one revision, to a file; - is the standard output.\n\n" +
			"The file ends with a checksum, and takes the place of an older one only when it is whole.\n" +
			"It holds everything, secrets too.",
		Args: exactArgs(1),
	}
	conn, f := a.connectFlags(cmd, snapshotTimeout), ownFormatFlag(cmd)
	local := cmd.Flags().Bool("local", false, "what this node has, which may be old; works without a leader")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "-" && *f != formatTable {
			return usage("the snapshot itself goes to the standard output, so what --output would print cannot: name a file, or leave --output out")
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		path := "/v1/snapshot?consistency=linearizable"
		if *local {
			path = "/v1/snapshot"
		}
		got, err := c.Do(cmd.Context(), client.Request{Method: http.MethodGet, Path: path})
		if err != nil {
			return err
		}
		s, err := fsm.ReadSnapshot(bytes.NewReader(got.Body))
		if err != nil {
			return fmt.Errorf("the snapshot of %s did not arrive whole: %w", got.Base, err)
		}
		if args[0] == "-" {
			_, err := a.Out.Write(got.Body)
			return err
		}
		if err := replaceFile(args[0], got.Body); err != nil {
			return fmt.Errorf("save snapshot: %w", err)
		}
		if *f != formatTable {
			return a.printValue(*f, savedDoc{args[0], len(got.Body), describe(s)})
		}
		_, err = fmt.Fprintf(a.Err, "revision %d is saved to %s, %d bytes\n", s.Revision(), args[0], len(got.Body))
		return err
	}
	return cmd
}

// savedDoc is what save tells of the file that it wrote.
type savedDoc struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
	snapshotDoc
}

// replaceFile writes a file of which there is never a part, readable for its
// owner alone.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// snapshotDoc is what a snapshot holds.
type snapshotDoc struct {
	ClusterID    string `json:"cluster_id"`
	FeatureLevel uint64 `json:"feature_level"`
	Revision     uint64 `json:"revision"`
	Version      uint64 `json:"version"`
	Digest       string `json:"digest"`
	Listeners    int    `json:"listeners"`
	Routes       int    `json:"routes"`
	Pools        int    `json:"pools"`
	Backends     int    `json:"backends"`
	Certificates int    `json:"certificates"`
	// SealedUnder tells under which secrets the private keys of the certificates can
	// be opened.
	SealedUnder []string `json:"sealed_under,omitempty"`
	Nodes       []string `json:"nodes"`
}

func (a *App) snapshotInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "check a snapshot, and say what it holds; asks no node",
		Args: exactArgs(1),
	}
	f := ownFormatFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		_, s, err := openSnapshot(args[0])
		if err != nil {
			return err
		}
		doc := describe(s)
		if *f != formatTable {
			return a.printValue(*f, doc)
		}
		rows := &table{head: []string{"cluster", doc.ClusterID}}
		rows.add("revision", fmt.Sprint(doc.Revision))
		rows.add("version", fmt.Sprint(doc.Version))
		rows.add("digest", doc.Digest)
		rows.add("feature level", fmt.Sprint(doc.FeatureLevel))
		rows.add("listeners", fmt.Sprint(doc.Listeners))
		rows.add("routes", fmt.Sprint(doc.Routes))
		rows.add("pools", fmt.Sprint(doc.Pools))
		rows.add("backends", fmt.Sprint(doc.Backends))
		rows.add("certificates", fmt.Sprint(doc.Certificates))
		for _, id := range doc.SealedUnder {
			rows.add("sealed under secret", id)
		}
		for _, node := range doc.Nodes {
			rows.add("node", node)
		}
		return rows.print(a.Out)
	}
	return cmd
}

func describe(s *fsm.State) snapshotDoc {
	doc := snapshotDoc{
		ClusterID: s.ClusterID(), FeatureLevel: s.FeatureLevel(), Revision: s.Revision(), Version: s.Version(),
		Digest: fmt.Sprintf("%016x", s.Digest()), Nodes: []string{},
		Listeners: s.Count(fsm.KindListener), Routes: s.Count(fsm.KindRoute), Pools: s.Count(fsm.KindPool), Backends: s.Count(fsm.KindBackend),
		Certificates: s.Count(fsm.KindCertificate),
	}
	if key := s.DataKey(); key != nil && doc.Certificates > 0 {
		for _, wrap := range key.Wraps {
			doc.SealedUnder = append(doc.SealedUnder, wrap.Secret)
		}
	}
	for node := range s.Nodes() {
		doc.Nodes = append(doc.Nodes, node.Name)
	}
	return doc
}

// openSnapshot reads a file and checks it; - is the standard input.
func openSnapshot(path string) ([]byte, *fsm.State, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	data, err := read()
	if err != nil {
		return nil, nil, fmt.Errorf("read snapshot: %w", err)
	}
	s, err := fsm.ReadSnapshot(bytes.NewReader(data))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", named("file", path), err)
	}
	return data, s, nil
}

func (a *App) snapshotRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "replace all objects of the registry by those of a file",
		Long: "Replace all listeners, routes, pools and backends by those of a snapshot, of this cluster\n" +
			"or of another one, at one revision. Whatever the snapshot lacks is removed. Nodes stay as\n" +
			"they are, and traffic goes on: what the snapshot has as it is keeps its health and its\n" +
			"connections. Save what is there first.\n\n" +
			"Private keys of certificates in it are sealed under the secrets that its cluster had. Where\n" +
			"the nodes do not have those, --old-secret-file opens them; it is asked here, and what is sent\n" +
			"is as secret as the keys themselves, so use --api https://... over a network. A cluster that\n" +
			"has the certificates already keeps its own with --keep-certificates.",
		Args: exactArgs(1),
	}
	conn, f := a.connectFlags(cmd, snapshotTimeout), ownFormatFlag(cmd)
	yes := cmd.Flags().Bool("yes", false, "do it")
	oldSecret := cmd.Flags().String("old-secret-file", "", "secrets of the cluster that it was saved in, one a line, to open private keys with")
	keep := cmd.Flags().Bool("keep-certificates", false, "the certificates that there are stay, in place of those of the file")
	cmd.MarkFlagsMutuallyExclusive("old-secret-file", "keep-certificates")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		data, s, err := openSnapshot(args[0])
		if err != nil {
			return err
		}
		if *oldSecret != "" {
			if data, err = openedWith(s, *oldSecret); err != nil {
				return err
			}
		}
		doc, query := describe(s), ""
		if *keep {
			query = "?certificates=keep"
		}
		what := fmt.Sprintf("%d listeners, %d routes, %d pools, %d backends and %d certificates, as of revision %d of cluster %s",
			doc.Listeners, doc.Routes, doc.Pools, doc.Backends, doc.Certificates, doc.Revision, doc.ClusterID)
		if !*yes {
			return usage(fmt.Sprintf("%s holds %s: repeat it with --yes to have that in place of all objects that there are", named("file", args[0]), what))
		}
		c, err := conn.client()
		if err != nil {
			return err
		}
		got, err := c.Do(cmd.Context(), client.Request{Method: http.MethodPut, Path: "/v1/snapshot" + query, Body: data, Header: http.Header{"Content-Type": {snapshotType}}})
		if err != nil {
			return err
		}
		var done struct{ Revision uint64 }
		if err := json.Unmarshal(got.Body, &done); err != nil {
			return fmt.Errorf("read answer of %s: %w", got.Base, err)
		}
		if *f != formatTable {
			return printData(a.Out, *f, got.Body)
		}
		_, err = fmt.Fprintf(a.Err, "revision %d holds %s\n", done.Revision, what)
		return err
	}
	return cmd
}

// openedWith returns a snapshot whose data key every node can open, by a file of
// secrets under one of which it is wrapped.
func openedWith(s *fsm.State, path string) ([]byte, error) {
	key := s.DataKey()
	if key == nil {
		return nil, errors.New("the snapshot has nothing that is sealed: leave out --old-secret-file")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read old secret: %w", err)
	}
	ring, err := secret.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named("file", path), err)
	}
	wraps := make([]secret.Wrap, len(key.Wraps))
	for i, wrap := range key.Wraps {
		wraps[i] = secret.Wrap(wrap)
	}
	plain, err := ring.Unwrap(key.ID, wraps)
	if err != nil {
		return nil, fmt.Errorf("%s does not open the snapshot's private keys: %w", named("file", path), err)
	}
	op := fsm.SetDataKey{Key: fsm.DataKey{ID: key.ID}}
	for _, wrap := range secret.Loopback().Wrap(plain) { // which is as good as plain
		op.Key.Wraps = append(op.Key.Wraps, fsm.KeyWrap(wrap))
	}
	next, results := fsm.Apply(s, []fsm.Command{{ID: fsm.CommandID{Origin: "restore", Seq: 1}, Op: op}})
	if refusal := results[0].Err; refusal != nil {
		return nil, fmt.Errorf("open the snapshot's data key: %w", refusal)
	}
	var out bytes.Buffer
	if err := next.WriteSnapshot(&out); err != nil {
		return nil, fmt.Errorf("write the opened snapshot: %w", err)
	}
	return out.Bytes(), nil
}
