package cli

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// unflagged are the fields that have no flag of their own: what few set, or what is a
// list of objects, is for --set, or is said otherwise.
var unflagged = map[fsm.Kind][]string{
	fsm.KindListener: {"forwarding.forwarded", "forwarding.x_forwarded", "limits.fields", "limits.head_bytes", "limits.line_bytes"},
	fsm.KindRoute: {
		"error_pages", "request_fields", "response_fields", "respond.content_type",
		"redirect.drop_query", "redirect.path", "redirect.port", "redirect.prefix", "rewrite.path", "rewrite.regexp", "rewrite.replacement",
		"mirror.percent", // is said with the pool
	},
	fsm.KindPool: {
		"check.expect_regexp", "check.fields", "check.method", "check.receive", "check.reuse_connection", "check.send", "check.weight_field",
		"damping.decay", "damping.flaps", "damping.hold", "damping.max_hold", "damping.off",
		"ejection.max_hold", "ejection.max_percent", "ejection.off",
		"ejection.success_rate.backends", "ejection.success_rate.factor", "ejection.success_rate.interval", "ejection.success_rate.requests",
		"limits.idle_connections", "retries.budget_min", "retries.budget_percent",
		"sticky.http_only", "sticky.max_age", "sticky.same_site", "sticky.secure", "timeouts.body", "timeouts.idle",
	},
	fsm.KindBackend:     {"address"},    // the argument of add, and --address of set
	fsm.KindCertificate: {"sealed_key"}, // nodes write it alone
}

// pathsOf returns the dotted paths of a spec's fields; a list is one field.
func pathsOf(t reflect.Type, at string) []string {
	var paths []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		kind := t.Field(i).Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct {
			paths = append(paths, pathsOf(kind, at+name+".")...)
		} else {
			paths = append(paths, at+name)
		}
	}
	return paths
}

// written returns the paths of what a flag writes into an empty spec.
func written(t *testing.T, f field, file string) []string {
	t.Helper()
	for _, text := range append(slices.Clone(f.known), "true", "1", "false", file) {
		d := &document{Spec: map[string]any{}}
		if err := f.apply(d, []string{text}); err == nil && len(d.Spec) > 0 {
			return leavesOfSpec(d.Spec, "")
		}
	}
	t.Errorf("--%s writes nothing", f.flag)
	return nil
}

func leavesOfSpec(object map[string]any, at string) []string {
	var paths []string
	for name, value := range object {
		if child, deeper := value.(map[string]any); deeper && len(child) > 0 {
			paths = append(paths, leavesOfSpec(child, at+name+".")...)
		} else {
			paths = append(paths, at+name)
		}
	}
	return paths
}

// Every field that there is has a flag or is named here, so that a new one is not
// forgotten.
func TestEveryFieldOfASpecHasAFlagOrIsKnownToHaveNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "both.pem")
	const both = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"
	if err := os.WriteFile(file, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &App{}
	for k, spec := range map[*kind]fsm.Spec{
		listenerKind(a): fsm.ListenerSpec{}, routeKind(): fsm.RouteSpec{}, poolKind(a): fsm.PoolSpec{},
		backendKind(): fsm.BackendSpec{}, certificateKind(a): fsm.CertificateSpec{},
	} {
		all := map[string]bool{}
		for _, path := range pathsOf(reflect.TypeOf(spec), "") {
			all[path] = false
		}
		for _, f := range k.fields {
			for _, path := range written(t, f, file) {
				if _, known := all[path]; !known && path != "tls" && path != "check.tls" { // those are objects
					t.Errorf("--%s of a %s writes %s, which its spec does not have", f.flag, k.name, path)
				}
				all[path] = true
			}
		}
		for _, path := range unflagged[spec.Kind()] {
			if flagged, known := all[path]; !known || flagged {
				t.Errorf("%s of a %s is among those without a flag: is there such a field, %t, and has it one, %t", path, k.name, known, flagged)
			}
			all[path] = true
		}
		for _, path := range slices.Sorted(maps.Keys(all)) {
			if !all[path] {
				t.Errorf("%s of a %s has no flag: give it one, or name it here", path, k.name)
			}
		}
	}
}
