package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
	"evenkeel/httpapi/strictjson"
)

var update = flag.Bool("update", false, "write the tables of docs/fields.md")

// schema is what these tests read of a schema of openapi.json.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Description string             `json:"description"`
	Enum        []any              `json:"enum"`
	Default     any                `json:"default"`
	Minimum     *int64             `json:"minimum"`
	Maximum     *int64             `json:"maximum"`
	From        string             `json:"x-minimum"`
	To          string             `json:"x-maximum"`
	MaxLength   int                `json:"maxLength"`
	MaxItems    int                `json:"maxItems"`
	Items       *schema            `json:"items"`
	OneOf       []*schema          `json:"oneOf"`
	Required    []string           `json:"required"`
	Properties  map[string]*schema `json:"properties"`
}

func loadSchemas(t testing.TB) map[string]*schema {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]*schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Components.Schemas
}

// documentedField is a field of a spec as openapi.json has it.
type documentedField struct {
	*schema
	path     string // such as match.headers[].name
	required bool
	code     reflect.Type
}

// kinds are the specs of the four kinds with all defaults filled in.
func kinds() map[string]fsm.Spec {
	var listener fsm.ListenerSpec
	listener.SetDefaults()
	forwarding, waits, limits := listener.EffectiveForwarding(), listener.EffectiveTimeouts(), listener.EffectiveLimits()
	listener.Forwarding, listener.Timeouts, listener.Limits = &forwarding, &waits, &limits
	http2 := listener.EffectiveHTTP2()
	listener.TLS, listener.HTTP2, listener.ProxyProtocol = made[fsm.ListenerTLS](), &http2, &fsm.ListenerProxyProtocol{}
	listener.TLS.ClientAuth = made[fsm.ClientAuth]()

	var pool fsm.PoolSpec
	pool.SetDefaults()
	hash, timeouts, retries, bounds := pool.EffectiveHash(), pool.EffectiveTimeouts(), pool.EffectiveRetries(), pool.EffectiveLimits()
	pool.Hash, pool.Timeouts, pool.Retries, pool.Limits = &hash, &timeouts, &retries, &bounds
	pool.Protocol, pool.TLS = pool.EffectiveProtocol(), &fsm.PoolTLS{}
	pool.Sticky, pool.Check = made[fsm.Sticky](), made[fsm.Check]()
	pool.Check.TLS, pool.Check.Fields = &fsm.CheckTLS{}, make([]fsm.CheckField, 1)
	pool.Ejection, pool.Damping = made[fsm.Ejection](), made[fsm.Damping]()
	pool.Ejection.SuccessRate = made[fsm.SuccessRate]()

	route := fsm.RouteSpec{
		Pools: []fsm.WeightedPool{*made[fsm.WeightedPool]()}, ErrorPages: []fsm.ErrorPage{*made[fsm.ErrorPage]()},
		Redirect: made[fsm.Redirect](), Respond: made[fsm.Respond](), Rewrite: &fsm.Rewrite{}, Mirror: made[fsm.Mirror](),
		Timeouts: &fsm.RouteTimeouts{}, Retries: made[fsm.RouteRetries](),
		RequestFields: make([]fsm.FieldEdit, 1), ResponseFields: make([]fsm.FieldEdit, 1),
	}
	route.Match.Headers, route.Match.Query = make([]fsm.ValueMatch, 1), make([]fsm.ValueMatch, 1)

	var backend fsm.BackendSpec
	backend.SetDefaults()
	return map[string]fsm.Spec{"Listener": listener, "Route": route, "Pool": pool, "Backend": backend}
}

func made[T any]() *T {
	value := new(T)
	if d, ok := any(value).(strictjson.Defaulter); ok {
		d.SetDefaults()
	}
	return value
}

// fieldsOf walks a schema beside the type that it describes, and reports where
// one has a field that the other lacks.
func fieldsOf(t testing.TB, schemas map[string]*schema, s *schema, code reflect.Type, at string) []documentedField {
	t.Helper()
	s, code, at = bare(schemas, s, code, at)
	if code.Kind() != reflect.Struct || s.Properties == nil {
		return nil
	}
	unknown := maps.Clone(s.Properties)
	var all []documentedField
	for i := range code.NumField() {
		name, _, _ := strings.Cut(code.Field(i).Tag.Get("json"), ",")
		field, kind := s.Properties[name], code.Field(i).Type
		delete(unknown, name)
		if field == nil {
			t.Errorf("%s%s is not in openapi.json", at, name)
			continue
		}
		all = append(all, documentedField{field, at + name, slices.Contains(s.Required, name), kind})
		all = append(all, fieldsOf(t, schemas, field, kind, at+name+".")...)
	}
	for name := range unknown {
		t.Errorf("%s%s of openapi.json is not in the code", at, name)
	}
	return all
}

// bare follows references, nullable alternatives, pointers and lists.
func bare(schemas map[string]*schema, s *schema, code reflect.Type, at string) (*schema, reflect.Type, string) {
	for {
		switch {
		case len(s.OneOf) > 0:
			s = s.OneOf[0]
		case s.Ref != "":
			s = schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		case code.Kind() == reflect.Pointer:
			code = code.Elem()
		case code.Kind() == reflect.Slice && s.Items != nil:
			s, code, at = s.Items, code.Elem(), strings.TrimSuffix(at, ".")+"[]."
		default:
			return s, code, at
		}
	}
}

func TestTheDocumentHasTheFieldsOfTheCodeWithRangesAndDefaults(t *testing.T) {
	schemas := loadSchemas(t)
	total := 0
	for kind, defaults := range kinds() {
		fields := fieldsOf(t, schemas, schemas[kind+"Spec"], reflect.TypeOf(defaults), "")
		total += len(fields)
		for _, f := range fields {
			checkDocumented(t, kind+" "+f.path, f, defaults)
		}
		flat := schemas[kind+"Document"].OneOf[0].Properties
		for name, field := range schemas[kind+"Spec"].Properties {
			if !reflect.DeepEqual(flat[name], field) {
				t.Errorf("%s differs between %sSpec and the flat %sDocument", name, kind, kind)
			}
		}
	}
	if total < 100 {
		t.Errorf("only %d fields were looked at", total)
	}
}

func checkDocumented(t *testing.T, name string, f documentedField, defaults fsm.Spec) {
	t.Helper()
	if f.Description == "" {
		t.Errorf("%s has no description", name)
	}
	isSpan := f.code == reflect.TypeFor[fsm.Duration]()
	switch {
	case isSpan && (f.From == "" || f.To == ""):
		t.Errorf("%s has no x-minimum and x-maximum", name)
	case f.code.Kind() == reflect.Int && len(f.Enum) == 0 && (f.Minimum == nil || f.Maximum == nil):
		t.Errorf("%s has no minimum and maximum", name)
	case f.code.Kind() == reflect.Slice && f.MaxItems == 0:
		t.Errorf("%s has no maxItems", name)
	}
	want, at := reflect.ValueOf(defaults), strings.ReplaceAll(f.path, "[]", ".[]")
	for part := range strings.SplitSeq(at, ".") {
		want = step(want, part)
	}
	switch got := f.Default.(type) {
	case nil:
		if want.Kind() == reflect.Bool || isPlain(want) && !want.IsZero() {
			t.Errorf("%s has no default, the code has %v", name, want)
		}
	case string:
		text := fmt.Sprint(want)
		if isSpan {
			d, err := time.ParseDuration(got)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got = d.String()
		}
		if got != text {
			t.Errorf("%s has the default %q, the code %q", name, got, text)
		}
	default:
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has the default %v, the code %v", name, got, want)
		}
	}
}

func isPlain(v reflect.Value) bool {
	return v.CanInt() || v.Kind() == reflect.String
}

// step follows one part of a path by the names in JSON.
func step(v reflect.Value, part string) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if part == "[]" {
		return v.Index(0)
	}
	for i := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); name == part {
			return v.Field(i)
		}
	}
	panic("no field " + part)
}

// base returns a document in which the field at the path may stand.
func base(kind, path string) map[string]any {
	object := func(text string) (o map[string]any) {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		return o
	}
	switch {
	case kind == "Listener" && path == "timeouts.idle":
		return object(`{"address":":80","protocol":"tcp"}`)
	case path == "limits.backend_connections":
		return object(`{"protocol":"http2","limits":{}}`)
	case kind == "Listener":
		return object(`{"address":":80"}`)
	case kind == "Backend":
		return object(`{"address":"h:1"}`)
	case kind == "Pool" && strings.HasPrefix(path, "limits"):
		return object(`{"limits":{"backend_requests":1}}`)
	case kind == "Pool" && strings.HasPrefix(path, "check.timeout"):
		return object(`{"check":{"interval":"1h"}}`)
	case path == "check.fast_interval":
		return object(`{"check":{"interval":"1h","timeout":"10ms"}}`)
	case strings.HasSuffix(path, ".max_hold"): // is at least the hold
		return object(`{"ejection":{"hold":"100ms"},"damping":{"hold":"1s"}}`)
	case strings.HasSuffix(path, ".hold"):
		return object(`{"ejection":{"max_hold":"24h"},"damping":{"max_hold":"24h"}}`)
	case kind == "Pool" && strings.HasPrefix(path, "check.interval"):
		return object(`{"check":{"timeout":"10ms"}}`)
	case kind == "Pool":
		return object(`{"strategy":"maglev"}`)
	case strings.HasPrefix(path, "redirect"):
		return object(`{"redirect":{"host":"h"}}`)
	case strings.HasPrefix(path, "respond"):
		return object(`{}`)
	case strings.HasPrefix(path, "mirror"):
		return object(`{"pools":[{"name":"p"}],"mirror":{"pool":"m"}}`)
	case strings.HasPrefix(path, "pools"):
		return object(`{"pools":[{"name":"p"}]}`)
	}
	return object(`{"pools":[{"name":"p"}],"error_pages":[{"status":500}]}`)
}

// put sets the value at a path of a document.
func put(document map[string]any, path string, value any) {
	head, rest, deep := strings.Cut(path, ".")
	name, listed := strings.CutSuffix(head, "[]")
	if !deep {
		document[name] = value
		return
	}
	var child map[string]any
	if listed {
		child = document[name].([]any)[0].(map[string]any)
	} else if child, _ = document[name].(map[string]any); child == nil {
		child = map[string]any{}
		document[name] = child
	}
	put(child, rest, value)
}

// verdictOn returns what the registry says of a document with that value.
func verdictOn(t testing.TB, kind, path string, value any) []fsm.Fault {
	t.Helper()
	document := base(kind, path)
	put(document, path, value)
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	parsed, faults := strictjson.Parse(text)
	if faults != nil {
		t.Fatalf("%s: %v", text, faults)
	}
	spec := reflect.New(reflect.TypeOf(kinds()[kind]))
	if d, ok := spec.Interface().(strictjson.Defaulter); ok {
		d.SetDefaults()
	}
	if faults := parsed.Decode(spec.Interface(), "/spec"); faults != nil {
		return faults
	}
	op := fsm.Put{Name: "x", Spec: spec.Elem().Interface().(fsm.Spec)}
	if kind == "Backend" {
		op.Pool = "p"
	}
	if refusal := fsm.Validate(op); refusal != nil {
		return refusal.Faults
	}
	return nil
}

// TestTheRegistryKeepsTheRangesOfTheDocument tries every number and time span
// at and beyond both ends of its range.
func TestTheRegistryKeepsTheRangesOfTheDocument(t *testing.T) {
	schemas := loadSchemas(t)
	tried := 0
	for kind, defaults := range kinds() {
		for _, f := range fieldsOf(t, schemas, schemas[kind+"Spec"], reflect.TypeOf(defaults), "") {
			good, bad := ends(t, f)
			for _, value := range good {
				if faults := verdictOn(t, kind, f.path, value); faults != nil {
					t.Errorf("%s %s: %v is in range, and refused: %v", kind, f.path, value, faults)
				}
			}
			for _, value := range bad {
				pointer := "/spec/" + strings.ReplaceAll(strings.ReplaceAll(f.path, "[]", "/0"), ".", "/")
				faults := verdictOn(t, kind, f.path, value)
				if !slices.ContainsFunc(faults, func(f fsm.Fault) bool { return f.Pointer == pointer }) {
					t.Errorf("%s %s: %v is out of range, and gets %v", kind, f.path, value, faults)
				}
			}
			if good != nil {
				tried++
			}
		}
	}
	if tried < 35 {
		t.Errorf("only %d ranges were tried", tried)
	}
}

// ends returns the first and last values of a range, and the nearest ones
// beyond it.
func ends(t testing.TB, f documentedField) (good, bad []any) {
	t.Helper()
	switch {
	case f.Minimum != nil && f.Maximum != nil:
		high := *f.Maximum
		if f.path == "limits.line_bytes" {
			high = 65536 // the head's default
		}
		bad = []any{*f.Minimum - 1, high + 1}
		if *f.Minimum > 0 && !isDefault(f, "0") {
			bad = append(bad, 0)
		}
		return []any{*f.Minimum, high}, bad
	case f.From != "":
		low, err := time.ParseDuration(f.From)
		if err != nil {
			t.Fatal(err)
		}
		high, err := time.ParseDuration(f.To)
		if err != nil {
			t.Fatal(err)
		}
		bad = []any{(low - 1).String(), (high + 1).String()}
		if low > 0 && !isDefault(f, "0s") {
			bad = append(bad, "0s")
		}
		return []any{low.String(), high.String()}, bad
	}
	return nil, nil
}

// isDefault tells whether a zero is what the field has when it is absent, as the
// document says; else nobody who writes it means that.
func isDefault(f documentedField, zero string) bool {
	return f.Default != nil && fmt.Sprint(f.Default) == zero
}

// TestThePageOfFieldsIsThatOfTheDocument holds the tables of docs/fields.md to
// openapi.json. `go test ./httpapi -update` writes them.
func TestThePageOfFieldsIsThatOfTheDocument(t *testing.T) {
	const file = "../docs/fields.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	pages := map[string]any{"Certificate": keypair.Document{}} // which is not as it is read
	for kind, spec := range kinds() {
		pages[kind] = spec
	}
	for kind, spec := range pages {
		begin, end := "<!-- "+strings.ToLower(kind)+", held against httpapi/openapi.json by a test -->\n", "<!-- end -->"
		head, rest, found := strings.Cut(page, begin)
		old, tail, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("docs/fields.md has no table of %s", kind)
		}
		want := tableOf(t, kind, spec)
		if old != want && !*update {
			t.Errorf("the table of %s is not that of openapi.json; `go test ./httpapi -update` writes it:\n%s", kind, want)
		}
		page = head + begin + want + end + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func tableOf(t testing.TB, kind string, spec any) string {
	name := kind + "Spec"
	if kind == "Certificate" {
		name = "CertificateToWrite"
	}
	var b strings.Builder
	b.WriteString("\n| field | values | default | meaning |\n| --- | --- | --- | --- |\n")
	schemas := loadSchemas(t)
	for _, f := range fieldsOf(t, schemas, schemas[name], reflect.TypeOf(spec), "") {
		standard := ""
		switch {
		case f.required:
			standard = "required"
		case f.Default != nil:
			standard = "`" + fmt.Sprint(f.Default) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.path, values(f), standard, strings.ReplaceAll(f.Description, "|", `\|`))
	}
	b.WriteString("\n")
	return b.String()
}

// values says in a few words what a field takes.
func values(f documentedField) string {
	switch {
	case len(f.Enum) > 0:
		var names []string
		for _, value := range f.Enum {
			names = append(names, "`"+fmt.Sprint(value)+"`")
		}
		return strings.Join(names, ", ")
	case f.Minimum != nil:
		return fmt.Sprintf("%d to %d", *f.Minimum, *f.Maximum)
	case f.From != "":
		return f.From + " to " + f.To
	case f.MaxItems > 0:
		return fmt.Sprintf("list of at most %d", f.MaxItems)
	case f.MaxLength > 0:
		return fmt.Sprintf("text of at most %d bytes", f.MaxLength)
	case f.code.Kind() == reflect.Bool:
		return "`true`, `false`"
	case f.code.Kind() == reflect.Pointer || f.code.Kind() == reflect.Struct:
		return "object"
	case strings.HasSuffix(f.Ref, "/Name"):
		return "DNS label"
	}
	return "text"
}
