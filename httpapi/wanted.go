package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// The header fields by which a client says how it wants a write.
const (
	headerKey    = "Idempotency-Key"
	headerReason = "X-Evenkeel-Reason"
)

const (
	// maxKey and maxReason bound what they say in bytes; fsm has the same bounds.
	maxKey    = 128
	maxReason = 256
	// defaultWait and maxWait are how long a write waits for the nodes to serve it.
	defaultWait = 10 * time.Second
	maxWait     = time.Minute
	minConfirm  = time.Second
	maxConfirm  = 24 * time.Hour
)

// The scopes of ?wait=: this node, or every node that is alive.
const (
	waitLocal = "local"
	waitAll   = "all"
)

// wanted is how a write is wanted: all that a request says of it beside what is
// to be written. It is read once, and the same for every write.
type wanted struct {
	// cond is what If-Match and If-None-Match ask for. Of a write of several
	// objects it must be zero, see [wanted.ofNone].
	cond  fsm.Precondition
	actor string
	by    *principal
	// reason is why the write is made, for the history; "" is not said.
	reason string
	// key is the Idempotency-Key, or "".
	key string
	// dryRun has the write tried and not made.
	dryRun bool
	// wait is whose data plane the answer waits for: waitLocal, waitAll or "", and
	// timeout how long.
	wait    string
	timeout time.Duration
	// confirmWithin, if not 0, has the write undone unless it is confirmed in time.
	confirmWithin fsm.Duration

	// request is what the fingerprint of a key is made of, but for the body.
	request []string
}

// writeQuery are the query parameters of a write; of one that can wait for its
// confirmation, those of confirmable too.
func writeQuery(more ...string) []string {
	return append([]string{"dry_run", "wait", "timeout", "reason"}, more...)
}

func confirmable(more ...string) []string { return writeQuery(append(more, "confirm_within")...) }

// wantedOf reads how a write is wanted. Its error has all that is wrong.
func wantedOf(r *http.Request) (*wanted, error) {
	want := &wanted{actor: actor(r), by: principalOf(r)}
	var reader wantedReader
	var err error
	if want.cond, err = precondition(r); err != nil {
		reader.add("%s", asProblem(err).Detail)
	}
	reader.key(want, r.Header.Values(headerKey))
	reader.reason(want, r)
	reader.dryRun(want, r)
	reader.wait(want, r)
	reader.confirm(want, r)
	if len(reader.faults) > 0 {
		return nil, problem.New(problem.InvalidRequest, "%s", strings.Join(reader.faults, "; "))
	}
	want.request = fingerprinted(r, want)
	return want, nil
}

// fingerprinted is what makes two requests the same for a key. How their answer is
// to be given is no part of that.
func fingerprinted(r *http.Request, want *wanted) []string {
	query := r.URL.Query()
	for _, name := range []string{"dry_run", "wait", "timeout"} {
		query.Del(name)
	}
	return []string{
		r.Method, r.URL.EscapedPath(), query.Encode(),
		strings.Join(r.Header.Values("If-Match"), ", "), strings.Join(r.Header.Values("If-None-Match"), ", "), want.reason,
	}
}

// ofNone refuses conditions of one object, for a write of several.
func (want *wanted) ofNone(where string) error {
	if want.cond.Absent || want.cond.Exists || want.cond.Revision != 0 {
		return problem.New(problem.InvalidRequest, "If-Match and If-None-Match are of one object, and this writes several: %s", where)
	}
	return nil
}

// command returns the command of an operation that is wanted so. body is what the
// client sent, for the fingerprint of the key.
func (want *wanted) command(op fsm.Operation, body []byte) fsm.Command {
	return fsm.Command{
		Actor: want.actor, Reason: want.reason, ConfirmWithin: want.confirmWithin, Op: op, Key: want.keyOf(body),
	}
}

// wantedReader gathers the faults of a request.
type wantedReader struct{ faults []string }

func (f *wantedReader) add(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *wantedReader) key(want *wanted, values []string) {
	if len(values) == 0 {
		return
	}
	if len(values) > 1 {
		f.add("%s is given %d times: send one", headerKey, len(values))
		return
	}
	want.key = values[0]
	// The draft of the field (draft-ietf-httpapi-idempotency-key-header) has it in
	// double quotes; both forms are one key.
	if inner, quoted := strings.CutPrefix(want.key, `"`); quoted && len(inner) > 1 {
		if inner, quoted = strings.CutSuffix(inner, `"`); quoted {
			want.key = inner
		}
	}
	printable := !strings.ContainsFunc(want.key, func(r rune) bool { return r <= ' ' || r > '~' })
	if want.key == "" || len(want.key) > maxKey || !printable {
		f.add("%s %q is not 1 to %d printable ASCII characters without a space: make up one for each request, such as a UUID",
			headerKey, clip(want.key), maxKey)
	}
}

func (f *wantedReader) reason(want *wanted, r *http.Request) {
	all := slices.Concat(r.Header.Values(headerReason), r.URL.Query()["reason"])
	if all = slices.Compact(all); len(all) == 0 {
		return
	}
	want.reason = all[0]
	switch {
	case len(all) > 1:
		f.add("the reason is given %d times, in %s or as query parameter reason: give one", len(all), headerReason)
	case len(want.reason) > maxReason:
		f.add("reason has %d bytes, at most %d are taken", len(want.reason), maxReason)
	case !utf8.ValidString(want.reason), strings.ContainsFunc(want.reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.add("reason %q holds what cannot be printed in a line: write one line of UTF-8", clip(want.reason))
	}
}

func (f *wantedReader) dryRun(want *wanted, r *http.Request) {
	query := r.URL.Query()
	switch text := query.Get("dry_run"); {
	case !query.Has("dry_run") || text == "false":
	case text == "true":
		want.dryRun = true
	default:
		f.add("dry_run %q: write true or false", clip(text))
	}
}

func (f *wantedReader) wait(want *wanted, r *http.Request) {
	query := r.URL.Query()
	want.wait, want.timeout = query.Get("wait"), defaultWait
	switch known := want.wait == waitLocal || want.wait == waitAll; {
	case !query.Has("wait"):
		if query.Has("timeout") {
			f.add("timeout is how long wait waits, and there is none: add wait=local or wait=all, or leave it out")
		}
		return
	case !known:
		f.add("wait %q: write local, for this node to serve what was written, or all, for every node that is alive", clip(want.wait))
	case want.dryRun:
		f.add("wait and dry_run: a write that is only tried is served by no node, leave one of them out")
	}
	if query.Has("timeout") {
		want.timeout = time.Duration(f.span("timeout", query.Get("timeout"), time.Millisecond, maxWait))
	}
}

func (f *wantedReader) confirm(want *wanted, r *http.Request) {
	if query := r.URL.Query(); query.Has("confirm_within") {
		want.confirmWithin = f.span("confirm_within", query.Get("confirm_within"), minConfirm, maxConfirm)
	}
}

// span reads a time span between two bounds.
func (f *wantedReader) span(name, text string, least, most time.Duration) fsm.Duration {
	var span fsm.Duration
	switch err := span.UnmarshalText([]byte(text)); {
	case err != nil:
		f.add("%s %q is not a time span: write one such as 10s", name, clip(text))
	case time.Duration(span) < least || time.Duration(span) > most:
		f.add("%s %s is not from %s to %s", name, span, least, most)
	}
	return span
}
