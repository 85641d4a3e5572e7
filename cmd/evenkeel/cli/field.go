package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// field is one field of a spec that a flag sets. Exactly the flags that a user
// gives are written: the API knows the defaults.
type field struct {
	flag, usage string
	list        bool
	// apply writes the flag's text, or its texts for a list, into a document.
	apply func(d *document, texts []string) error
	known []string // for completion
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

// number writes a whole number; whether it is in range, the API says.
func number(path, flag string) func(*document, []string) error {
	return func(d *document, texts []string) error {
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

// fieldFlags adds a flag per field to a command, and --label, and returns what
// writes those that were given into a document.
func (v *verbs) fieldFlags(cmd *cobra.Command) func(*document) error {
	fs := cmd.Flags()
	single := make([]string, len(v.fields))
	lists := make([][]string, len(v.fields))
	for i, f := range v.fields {
		if f.list {
			fs.StringSliceVar(&lists[i], f.flag, nil, f.usage)
		} else {
			fs.StringVar(&single[i], f.flag, "", f.usage)
		}
		if f.known != nil {
			// The error is for a flag that does not exist.
			_ = cmd.RegisterFlagCompletionFunc(f.flag, cobra.FixedCompletions(f.known, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	var labels []string
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
		return d.setLabels(labels)
	}
}
