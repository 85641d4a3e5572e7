package strictyaml

import (
	"regexp"
	"slices"
	"strings"

	"evenkeel/httpapi/strictjson"
)

// orElse says what to write where no text is meant.
func orElse(doubt string) string {
	switch doubt {
	case "a boolean":
		return ", else true or false"
	case "null":
		return ", else null"
	case "a key of its own":
		return ""
	}
	return ", else a number as in JSON"
}

var (
	number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// numeric is what, underscores left out, is a number to some reader: of YAML
	// 1.1 or 1.2, or of common languages.
	numeric = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|` +
		`^[-+]?0[xXoObB][0-9a-fA-F]+$|^[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$`)
	booleans = []string{"true", "false", "yes", "no", "on", "off", "y", "n"}
)

// resolve tells what a plain scalar is: what JSON would take it for, else a
// string. doubt is what some reader takes it for that would disagree.
func resolve(text string) (kind strictjson.Kind, doubt string) {
	switch text {
	case "", "null", "~":
		return strictjson.Null, ""
	case "true", "false":
		return strictjson.Bool, ""
	case "<<", "=": // of YAML 1.1: "merge" and "default value"
		return strictjson.String, "a key of its own"
	}
	switch {
	case number.MatchString(text):
		return strictjson.Number, ""
	case len(text) <= len("false") && slices.Contains(booleans, strings.ToLower(text)):
		return strictjson.String, "a boolean"
	case strings.EqualFold(text, "null"):
		return strictjson.String, "null"
	case strings.IndexByte("+-.0123456789", text[0]) >= 0 && numeric.MatchString(strings.ReplaceAll(text, "_", "")):
		return strictjson.String, "a number"
	}
	return strictjson.String, ""
}

var (
	// safe is what no reader takes for anything but itself where a value may
	// stand in block style.
	safe = regexp.MustCompile(`^[A-Za-z0-9_/.][A-Za-z0-9_/.,:;=+@()$^~*-]*( [A-Za-z0-9_/.(][A-Za-z0-9_/.,:;=+@()$^~*-]*)*$`)
	date = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`)
)

// IsPlain tells whether every reader of YAML takes the text for a string of its
// own when it stands without quotes as a key or value of block style.
func IsPlain(text string) bool {
	if len(text) > 200 || !safe.MatchString(text) || strings.Contains(text, ": ") || strings.HasSuffix(text, ":") {
		return false
	}
	kind, doubt := resolve(text)
	return kind == strictjson.String && doubt == "" && !date.MatchString(text)
}
