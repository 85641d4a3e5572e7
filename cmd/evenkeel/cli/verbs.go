package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// add creates an object; one of that name must not exist.
func (v *verbs) add() *cobra.Command {
	use, short := "add NAME", "create a "+v.name
	if v.pooled {
		use, short = "add ADDRESS", "create a backend; without --name one is made up"
	}
	cmd := &cobra.Command{Use: use, Short: short, Args: exactArgs(1)}
	name := ""
	if v.pooled {
		cmd.Flags().StringVar(&name, "name", "", "name of the backend, a DNS label")
	}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	fill, w := v.fieldFlags(cmd), v.app.writeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := w.options()
		if err != nil {
			return err
		}
		doc := &document{Name: args[0], Spec: map[string]any{}}
		if v.pooled {
			doc.Name, doc.Pool = name, v.pool
			doc.Spec["address"] = args[0]
		}
		if err := fill(doc); err != nil {
			return err
		}
		c, err := v.conn.client()
		if err != nil {
			return err
		}
		got, err := c.CreateRaw(cmd.Context(), fsm.Kind(v.name), "", doc, write)
		if err != nil {
			return err
		}
		return v.finish(cmd, c, w, got)
	}
	return cmd
}

// set changes the fields that flags name, and leaves the others.
func (v *verbs) set() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME", Short: "change the named fields of a " + v.name,
		Args: exactArgs(1), ValidArgsFunction: v.complete,
	}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	fill, w := v.fieldFlags(cmd), v.app.writeFlags(cmd)
	if v.pooled {
		// For add the address is the argument.
		cmd.Flags().String("address", "", "address of the backend, HOST:PORT")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return v.changeOne(cmd, w, args[0], func(d *document) error {
			if address := cmd.Flags().Lookup("address"); v.pooled && address.Changed {
				d.setPath("address", address.Value.String())
			}
			return fill(d)
		})
	}
	return cmd
}

// changeOne changes the object of that name and prints it.
func (v *verbs) changeOne(cmd *cobra.Command, w *writing, name string, edit func(*document) error) error {
	write, err := w.options()
	if err != nil {
		return err
	}
	r, err := v.ref(name)
	if err != nil {
		return err
	}
	c, err := v.conn.client()
	if err != nil {
		return err
	}
	got, err := v.change(cmd.Context(), c, r, write, edit)
	if err != nil {
		return err
	}
	return v.finish(cmd, c, w, got)
}

func (v *verbs) list() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "list all " + v.plural, Args: exactArgs(0)}
	v.poolFlag(cmd, "", "only backends of this pool")
	labels := cmd.Flags().StringArray("label", nil, "only with this label: KEY=VALUE, KEY!=VALUE, KEY or !KEY (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := v.conn.client()
		if err != nil {
			return err
		}
		got, err := c.ListRaw(cmd.Context(), fsm.Kind(v.name), v.pool, client.Read{Labels: *labels})
		if err != nil {
			return err
		}
		var all list
		if err := got.Decode(&all); err != nil {
			return err
		}
		if *v.format != formatTable {
			return printData(v.app.Out, *v.format, got.Body)
		}
		objects := make([][]byte, len(all.Items))
		for i, item := range all.Items {
			objects[i] = item
		}
		return v.printRows(objects...)
	}
	return cmd
}

func (v *verbs) get() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get NAME", Short: "show one " + v.name + "; -o yaml shows all of it",
		Args: exactArgs(1), ValidArgsFunction: v.complete,
	}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := v.ref(args[0])
		if err != nil {
			return err
		}
		c, err := v.conn.client()
		if err != nil {
			return err
		}
		got, err := c.GetRaw(cmd.Context(), v.object(r), client.Read{})
		if err != nil {
			return err
		}
		return v.printAnswer(got)
	}
	return cmd
}

// remove deletes objects. The API accepts the deletion of what is not there;
// a person has more likely misspelt it, so the verb asks that it exists.
func (v *verbs) remove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rm NAME...", Aliases: []string{"remove", "delete"}, Short: "delete " + v.plural,
		Long: "Delete " + v.plural + ", one after the other, up to the first that cannot be. With -o json or yaml\n" +
			"there is a document for each that is deleted.",
		Args: minArgs(1), ValidArgsFunction: v.complete,
	}
	v.poolFlag(cmd, defaultPool, "pool of the backends")
	missingOK := cmd.Flags().Bool("ignore-missing", false, "what does not exist is no error")
	w := v.app.writeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := w.options()
		if err != nil {
			return err
		}
		if write.Key != "" && len(args) > 1 {
			return usage("--idempotency-key is for one change, and each deletion is one of its own: name one object")
		}
		write.MustExist = !*missingOK
		c, err := v.conn.client()
		if err != nil {
			return err
		}
		for _, name := range args {
			r, err := v.ref(name)
			if err != nil {
				return err
			}
			got, err := c.Delete(cmd.Context(), v.object(r), write)
			if err != nil {
				return missing(err, "there is no %s %s", v.name, r)
			}
			if *v.format == formatYAML && len(args) > 1 {
				if _, err := fmt.Fprintln(v.app.Out, "---"); err != nil {
					return err
				}
			}
			if err := v.removed(cmd, c, w, r, got); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// removed reports a deletion, to a person on the error output.
func (v *verbs) removed(cmd *cobra.Command, c *client.Client, w *writing, r ref, got *client.Answer) error {
	if w.dryRun {
		return v.finish(cmd, c, w, got)
	}
	outcome, err := v.gone(got, r, client.ActionDelete, fmt.Sprintf("%s %s is deleted\n", v.name, r))
	if err != nil {
		return err
	}
	if err := w.waitsOf(cmd.Context(), c, v.object(r)); err != nil {
		return err
	}
	return w.report(outcome)
}

// goneDoc is what is printed of a write whose answer has nothing to show. Revision is
// one of the registry that has the write.
type goneDoc struct {
	Kind     fsm.Kind      `json:"kind"`
	Pool     string        `json:"pool,omitempty"`
	Name     string        `json:"name"`
	Action   client.Action `json:"action"`
	Revision uint64        `json:"revision"`
}

// gone reports a write that took something away: as a document, or in words to a person.
func (v *verbs) gone(got *client.Answer, r ref, action client.Action, words string) (*client.Outcome, error) {
	outcome, err := got.Outcome()
	if err != nil {
		return nil, err
	}
	if *v.format == formatTable {
		_, err = fmt.Fprint(v.app.Err, words)
	} else {
		err = v.app.printValue(*v.format, goneDoc{fsm.Kind(v.name), r.pool, r.name, action, outcome.Revision})
	}
	return outcome, err
}

// decode reads an object of the API for a table.
func decode[T any](object []byte) (*T, error) {
	var value T
	if err := json.Unmarshal(object, &value); err != nil {
		return nil, err
	}
	return &value, nil
}
