package cli

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"evenkeel/client"
)

const (
	// lineWidth is up to how many characters the fields of one object stand on its
	// line, maxValue what is shown of a value.
	lineWidth = 100
	maxValue  = 60
)

// printDiff prints a diff for people, a line per object, or its document.
func printDiff(w io.Writer, f format, diff *client.Diff, document []byte) error {
	if f != formatTable {
		return printData(w, f, document)
	}
	for i := range diff.Changes {
		if _, err := io.WriteString(w, describeChange(&diff.Changes[i])); err != nil {
			return err
		}
	}
	var err error
	switch {
	case diff.LeftOff > 0 && len(diff.Changes) == 0:
		_, err = fmt.Fprintf(w, "%d changes, too many to be told\n", diff.LeftOff)
	case diff.LeftOff > 0:
		_, err = fmt.Fprintf(w, "and %d more, which are not told\n", diff.LeftOff)
	}
	return err
}

// describeChange is "~ backend shop/web1  weight 1 → 5", with + for an object that
// comes into being and - for one that goes, and a line end.
func describeChange(change *client.Change) string {
	line := mark(change.Action) + " " + printable(change.Ref().String())
	var fields []string
	switch change.Action {
	case client.ActionUpdate:
		for _, field := range change.Fields {
			fields = append(fields, fmt.Sprintf("%s %s → %s", fieldName(field.Pointer), shortValue(field.Before), shortValue(field.After)))
		}
	case client.ActionCreate:
		fields = leaves(change.After)
	}
	one := strings.Join(fields, ", ")
	switch {
	case len(fields) == 0:
		return line + "\n"
	case len(fields) == 1 || utf8.RuneCountInString(line)+utf8.RuneCountInString(one) <= lineWidth:
		return line + "  " + one + "\n"
	}
	return line + "\n    " + strings.Join(fields, "\n    ") + "\n"
}

func mark(action client.Action) string {
	switch action {
	case client.ActionCreate:
		return "+"
	case client.ActionDelete:
		return "-"
	}
	return "~"
}

// fieldName turns a pointer (RFC 6901) into what --set takes: /spec/check/path is
// check.path, and /labels/a is labels.a.
func fieldName(pointer string) string {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(pointer, "/spec"), "/"), "/")
	for i, part := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return printable(strings.Join(parts, "."))
}

// shortValue is a value on a part of a line: a text without quotes where that cannot
// be taken for something else.
func shortValue(value json.RawMessage) string {
	if len(value) == 0 || string(value) == "null" {
		return "(none)"
	}
	shown := string(value)
	var text string
	var compact bytes.Buffer
	switch {
	case json.Unmarshal(value, &text) == nil && isWord(text):
		shown = text
	case strings.HasPrefix(text, "-----BEGIN CERTIFICATE"):
		shown = describePEM(text)
	case json.Compact(&compact, value) == nil:
		shown = unescaped.Replace(compact.String())
	}
	if utf8.RuneCountInString(shown) > maxValue {
		shown = string([]rune(shown)[:maxValue-1]) + "…"
	}
	return printable(shown)
}

// describePEM says which certificates a text of PEM is, by the first of them.
func describePEM(text string) string {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return "damaged PEM"
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "a damaged certificate"
	}
	shown := certificate.NotAfter.UTC().Format(time.RFC3339) + " " + certificate.Subject.String()
	if more := strings.Count(string(rest), "-----BEGIN CERTIFICATE"); more > 0 {
		return fmt.Sprintf("certificate and %d more until %s", more, shown)
	}
	return "certificate until " + shown
}

// unescaped writes what JSON escapes for the sake of HTML. An escaped backslash
// before it is skipped, and what it escapes is none of these.
var unescaped = strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`,"→()[]{}`, r)
	})
}

// leaves lists the fields of a new object in the order of its document, labels last.
func leaves(object json.RawMessage) []string {
	var read struct {
		Labels map[string]json.RawMessage `json:"labels"`
		Spec   json.RawMessage            `json:"spec"`
	}
	if json.Unmarshal(object, &read) != nil {
		return nil
	}
	fields := leavesOf(nil, "", read.Spec)
	var labels []string
	for name, value := range read.Labels {
		labels = append(labels, printable("labels."+name)+" "+shortValue(value))
	}
	slices.Sort(labels)
	return append(fields, labels...)
}

// leavesOf adds the fields of a value that are no objects themselves. A list is one.
func leavesOf(fields []string, path string, value json.RawMessage) []string {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		if path == "" {
			return fields
		}
		return append(fields, printable(path)+" "+shortValue(value))
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return fields
		}
		var child json.RawMessage
		if decoder.Decode(&child) != nil {
			return fields
		}
		deeper := fmt.Sprint(name)
		if path != "" {
			deeper = path + "." + deeper
		}
		fields = leavesOf(fields, deeper, child)
	}
	return fields
}

// countChanges says how much a diff is, such as "1 created, 2 updated, 3 deleted, 4 as
// they were".
func countChanges(diff *client.Diff) string {
	count := map[client.Action]int{}
	for _, change := range diff.Changes {
		count[change.Action]++
	}
	var parts []string
	for _, part := range []struct {
		action client.Action
		text   string
	}{{client.ActionCreate, "created"}, {client.ActionUpdate, "updated"}, {client.ActionDelete, "deleted"}} {
		if n := count[part.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.text))
		}
	}
	if diff.LeftOff > 0 {
		parts = append(parts, fmt.Sprintf("%d more", diff.LeftOff))
	}
	if diff.Unchanged > 0 {
		parts = append(parts, fmt.Sprintf("%d as before", diff.Unchanged))
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, ", ")
}
