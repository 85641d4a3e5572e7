package tools

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

func TestPostgreSQLServesThroughATCPListener(t *testing.T) {
	psql, pgbench := installed(t, "psql", "postgresql-client"), installed(t, "pgbench", "postgresql-contrib")
	server := newPostgres(t)
	b := newBed(t)
	process := server.start(t)
	b.serve(t, "forward", map[string]any{}, server.address)
	for n, node := range b.Nodes {
		_, port, _ := strings.Cut(b.forward[node.Name], ":")
		flags := []string{"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--host", "127.0.0.1", "--port", port, "--username", "evenkeel", "--dbname", "postgres"}
		query := func(sql string) (string, error) {
			out, err := run("", psql, append(flags[:len(flags):len(flags)], "--command", sql)...)
			return strings.TrimSpace(out), err
		}
		table := fmt.Sprintf("t%d", n)
		for sql, want := range map[string]string{
			"SELECT 6 * 7": "42",
			"CREATE TABLE " + table + " AS SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 5000) n; SELECT sum(length(text)) FROM " + table: "5000000",
		} {
			if got, err := query(sql); err != nil || got != want {
				t.Errorf("%s: %s: got %q, want %q: %v", node.Name, sql, got, want, err)
			}
		}
		// 5 MB to the client, and back again.
		copied, err := query("COPY " + table + " TO STDOUT")
		if err != nil || strings.Count(copied, "\n") != 4999 {
			t.Fatalf("%s: COPY TO STDOUT: %d bytes: %v", node.Name, len(copied), err)
		}
		if _, err := query("TRUNCATE " + table); err != nil {
			t.Fatal(err)
		}
		if _, err := run(copied+"\n", psql, append(flags[:len(flags):len(flags)], "--command", "COPY "+table+" FROM STDIN")...); err != nil {
			t.Fatal(err)
		}
		if got, err := query("SELECT sum(length(text)) FROM " + table); err != nil || got != "5000000" {
			t.Errorf("%s: after COPY FROM STDIN: %q: %v", node.Name, got, err)
		}
		connect := []string{"--host", "127.0.0.1", "--port", port, "--username", "evenkeel", "postgres"}
		mustRun(t, pgbench, append([]string{"--initialize", "--quiet", "--scale", "1"}, connect...)...)
		// With --connect each transaction has a connection of its own.
		for _, more := range [][]string{{"--transactions", "100"}, {"--transactions", "20", "--connect"}} {
			out := mustRun(t, pgbench, append(append([]string{"--client", "8", "--jobs", "2"}, more...), connect...)...)
			if !strings.Contains(out, "number of failed transactions: 0 (") {
				t.Errorf("%s: pgbench: %s", node.Name, out)
			}
		}
	}
	process.Interrupt() // which PostgreSQL takes for: end now, in good order
	process.WaitClean(t, harness.Patience)
	server.start(t)
	for _, node := range b.Nodes {
		_, port, _ := strings.Cut(b.forward[node.Name], ":")
		harness.Eventually(t, node.Name+" serves the server that came back", func() error {
			out, err := run("", psql, "--host", "127.0.0.1", "--port", port, "--username", "evenkeel", "--dbname", "postgres", "--tuples-only", "--command", "SELECT count(*) FROM t0")
			if err == nil && strings.TrimSpace(out) != "5000" {
				err = errors.New(out)
			}
			return err
		})
	}
}

// postgres is a PostgreSQL server of the test's own.
type postgres struct {
	path, dir, address string
	as                 []string // the beginning of a command line that gives up root
}

// newPostgres makes a database cluster, with the server's own programs.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	initdb, server := installed(t, postgresProgram("initdb"), "postgresql"), installed(t, postgresProgram("postgres"), "postgresql")
	// Not t.TempDir, which another user cannot enter.
	dir, err := os.MkdirTemp("", "evenkeel-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &postgres{path: server, dir: dir, address: harness.FreeAddress(t)}
	if os.Geteuid() == 0 { // as which PostgreSQL does not run
		p.giveUpRoot(t)
	}
	p.run(t, initdb, "--pgdata", filepath.Join(dir, "data"), "--username", "evenkeel", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C")
	return p
}

// postgresProgram is where Debian has a program of the server's, the newest, or its
// name.
func postgresProgram(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is a right one
	if len(found) == 0 {
		return name
	}
	return found[len(found)-1]
}

// giveUpRoot gives the directory to the user nobody, who is to run the server.
func (p *postgres) giveUpRoot(t *testing.T) {
	t.Helper()
	setpriv := installed(t, "setpriv", "util-linux")
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("as root PostgreSQL does not run, and there is nobody else: ", err)
	}
	uid, err1 := strconv.Atoi(nobody.Uid)
	gid, err2 := strconv.Atoi(nobody.Gid)
	if err := errors.Join(err1, err2, os.Chown(p.dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
	p.as = []string{setpriv, "--reuid", nobody.Uid, "--regid", nobody.Gid, "--clear-groups"}
}

func (p *postgres) run(t *testing.T, command ...string) {
	t.Helper()
	command = append(p.as[:len(p.as):len(p.as)], command...)
	mustRun(t, command[0], command[1:]...)
}

// start starts the server and waits until it takes connections. It ends with the
// test.
func (p *postgres) start(t *testing.T) *harness.Process {
	t.Helper()
	command := append(p.as[:len(p.as):len(p.as)], p.path, "-D", filepath.Join(p.dir, "data"), "-h", "127.0.0.1", "-p", port(t, p.address), "-k", p.dir,
		"-c", "fsync=off", "-c", "max_connections=50")
	process := harness.Start(t, harness.Command{Name: "postgres", Path: command[0], Args: command[1:], Dir: p.dir, Log: filepath.Join(t.TempDir(), "log")})
	t.Cleanup(func() { // before it is killed, which would leave its children
		if process.Running() {
			process.Interrupt()
			process.WaitClean(t, harness.Patience)
		}
	})
	waitAnswers(t, p.address)
	return process
}

func TestRedisServesThroughATCPListener(t *testing.T) {
	server, cli, benchmark := installed(t, "redis-server", "redis-server"), installed(t, "redis-cli", "redis-tools"), installed(t, "redis-benchmark", "redis-tools")
	address := harness.FreeAddress(t)
	dir := t.TempDir()
	b := newBed(t)
	harness.Start(t, harness.Command{Name: "redis", Path: server, Dir: dir, Log: filepath.Join(dir, "log"),
		Args: []string{"--bind", "127.0.0.1", "--port", port(t, address), "--dir", dir, "--save", "", "--appendonly", "no"}})
	waitAnswers(t, address)
	b.serve(t, "forward", map[string]any{}, address)
	for n, node := range b.Nodes {
		_, port, _ := strings.Cut(b.forward[node.Name], ":")
		connect := []string{"-h", "127.0.0.1", "-p", port}
		value := strings.Repeat("v", 1<<20)
		key := fmt.Sprintf("key-%d", n)
		if out, err := run(value, cli, append(connect[:len(connect):len(connect)], "-x", "SET", key)...); err != nil || strings.TrimSpace(out) != "OK" {
			t.Fatalf("%s: SET: %q: %v", node.Name, out, err)
		}
		if out := mustRun(t, cli, append(connect[:len(connect):len(connect)], "GET", key)...); strings.TrimSpace(out) != value {
			t.Errorf("%s: GET: of %d bytes came %d", node.Name, len(value), len(out))
		}
		// Every write of many connections that pipeline them is made.
		counter := fmt.Sprintf("counter-%d", n)
		mustRun(t, benchmark, append(connect[:len(connect):len(connect)], "-q", "-n", "20000", "-c", "20", "-P", "16", "INCR", counter)...)
		if out := mustRun(t, cli, append(connect[:len(connect):len(connect)], "GET", counter)...); strings.TrimSpace(out) != "20000" {
			t.Errorf("%s: of 20000 increments %q were made", node.Name, strings.TrimSpace(out))
		}
	}
}
