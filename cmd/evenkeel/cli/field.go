package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"evenkeel/fsm"
)

// field is one field of a spec that a flag sets. Exactly the flags that a user
// gives are written: the API knows the defaults.
type field struct {
	flag, usage string
	list        bool
	// whole tells that commas within a text of the list are part of it.
	whole bool
	// boolean tells that the flag alone means true.
	boolean bool
	// apply writes the flag's text, or its texts for a list, into a document.
	apply func(d *document, texts []string) error
	known []string // for completion
	names fsm.Kind // it names objects of that kind, for completion
}

// text writes a text as it is; an empty one removes the field.
func text(path string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if texts[0] == "" {
			d.setPath(path, nil)
		} else {
			d.setPath(path, texts[0])
		}
		return nil
	}
}

// object writes a text that stands for a whole object of the spec: an empty
// one removes that object.
func object(path, name string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if texts[0] == "" {
			d.setPath(path, nil)
		} else {
			d.setPath(path+"."+name, texts[0])
		}
		return nil
	}
}

// truth writes true or false.
func truth(path, flag string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		yes, err := strconv.ParseBool(texts[0])
		if err != nil {
			return usage(fmt.Sprintf("--%s %q is neither true nor false", flag, texts[0]))
		}
		d.setPath(path, yes)
		return nil
	}
}

// flagged writes true, and removes the field for false.
func flagged(path, flag string) func(*document, []string) error {
	return switched(path, flag, true)
}

// without writes true for false, and removes the field for true.
func without(path, flag string) func(*document, []string) error {
	return switched(path, flag, false)
}

func switched(path, flag string, writes bool) func(*document, []string) error {
	return func(d *document, texts []string) error {
		yes, err := strconv.ParseBool(texts[0])
		switch {
		case err != nil:
			return usage(fmt.Sprintf("--%s %q is neither true nor false", flag, texts[0]))
		case yes == writes:
			d.setPath(path, true)
		default:
			d.setPath(path, nil)
		}
		return nil
	}
}

// within refuses to set a field of an object that another flag of the line removes.
func within(path, flag string, apply func(*document, []string) error) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if by := d.cleared[path]; by != "" && texts[0] != "" {
			return usage(fmt.Sprintf("%s removes what --%s is about: leave one of the two out", by, flag))
		}
		return apply(d, texts)
	}
}

// presence has an object of the spec there or not, whatever is in it. Its flag comes
// before those of the object's fields.
func presence(path, flag string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		yes, err := strconv.ParseBool(texts[0])
		switch {
		case err != nil:
			return usage(fmt.Sprintf("--%s %q is neither true nor false", flag, texts[0]))
		case !yes:
			d.clear(path, "--"+flag+"=false")
		case !d.has(path):
			d.setPath(path, map[string]any{})
		}
		return nil
	}
}

// keeping sets a field of an object whose presence alone means something: without its
// last field it stays there.
func keeping(path, flag string, apply func(*document, []string) error) func(*document, []string) error {
	apply = within(path, flag, apply)
	return func(d *document, texts []string) error {
		before := d.has(path)
		err := apply(d, texts)
		if err == nil && before && d.cleared[path] == "" && !d.has(path) {
			d.setPath(path, map[string]any{})
		}
		return err
	}
}

// number writes a whole number, an empty text removes it; whether it is in
// range, the API says.
func number(path, flag string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if texts[0] == "" {
			d.setPath(path, nil)
			return nil
		}
		n, err := strconv.Atoi(texts[0])
		if err != nil {
			return usage(fmt.Sprintf("--%s %q is not a whole number", flag, texts[0]))
		}
		d.setPath(path, n)
		return nil
	}
}

// texts writes a list; a single empty text removes the field.
func texts(path string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if len(texts) == 1 && texts[0] == "" {
			d.setPath(path, nil)
		} else {
			d.setPath(path, texts)
		}
		return nil
	}
}

// anyField applies the texts of --set, FIELD=VALUE: a path such as
// timeouts.body, and JSON, or a text as it is where it is no JSON. Without a
// value the field is removed.
func anyField(d *document, settings []string) error {
	for _, setting := range settings {
		path, value, found := strings.Cut(setting, "=")
		if !found || slices.Contains(strings.Split(path, "."), "") {
			return usage(fmt.Sprintf("--set %q is not FIELD=VALUE, such as timeouts.body=10s", setting))
		}
		if value == "" {
			d.setPath(path, nil)
			continue
		}
		var parsed any
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber() // a large one keeps its digits
		if err := decoder.Decode(&parsed); err != nil || decoder.More() {
			parsed = value
		}
		d.setPath(path, parsed)
	}
	return nil
}

// fieldFlags adds a flag per field to a command, and --set and --label, and
// returns what writes those that were given into a document.
func (v *verbs) fieldFlags(cmd *cobra.Command) func(*document) error {
	fs := cmd.Flags()
	single := make([]string, len(v.fields))
	lists := make([][]string, len(v.fields))
	for i, f := range v.fields {
		switch {
		case f.list && f.whole:
			fs.StringArrayVar(&lists[i], f.flag, nil, f.usage)
		case f.list:
			fs.StringSliceVar(&lists[i], f.flag, nil, f.usage)
		default:
			fs.StringVar(&single[i], f.flag, "", f.usage)
		}
		if f.boolean {
			fs.Lookup(f.flag).NoOptDefVal = "true"
		}
		if f.names != "" {
			v.conn.completeNames(cmd, f.flag, f.names)
		}
		if f.known != nil {
			// The error is for a flag that does not exist.
			_ = cmd.RegisterFlagCompletionFunc(f.flag, cobra.FixedCompletions(f.known, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	var settings, labels []string
	fs.StringArrayVar(&settings, "set", nil, "any field as FIELD=VALUE with a text or JSON, such as timeouts.body=10s, or FIELD= to remove it (repeatable)")
	fs.StringArrayVar(&labels, "label", nil, "label as KEY=VALUE, or KEY- to remove it (repeatable)")
	return func(d *document) error {
		for i, f := range v.fields {
			if !fs.Changed(f.flag) {
				continue
			}
			given := lists[i]
			if !f.list {
				given = []string{strings.TrimSpace(single[i])}
			} else if len(given) == 0 {
				given = []string{""}
			}
			if err := f.apply(d, given); err != nil {
				return err
			}
		}
		if err := anyField(d, settings); err != nil {
			return err
		}
		return d.setLabels(labels)
	}
}
