package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/client"
	"evenkeel/fsm"
)

// tokenCommand holds what is about the API's tokens.
func (a *App) tokenCommand() *cobra.Command {
	cmd := Group("token", "the API's tokens: who may do what")
	v := &verbs{kind: tokenKind(), app: a, conn: a.connectFlags(cmd, timeout), format: formatFlag(cmd)}
	cmd.AddCommand(v.createToken(), v.list(), v.get(), v.remove(), a.bootstrapCommand(v.format))
	return cmd
}

func tokenKind() *kind {
	return &kind{
		name: "token", plural: "tokens",
		head: []string{"NAME", "ROLE", "LIMITED TO", "EXPIRES", "MADE"},
		row: func(object []byte) ([]string, error) {
			t, err := decode[fsm.Token](object)
			if err != nil {
				return nil, err
			}
			expires := "never"
			if t.Spec.Expires != nil {
				expires = t.Spec.Expires.UTC().Format(time.RFC3339)
			}
			return []string{t.Name, string(t.Spec.Role), describeLabels(t.Spec.Labels), expires, t.Meta.Created.UTC().Format(time.RFC3339)}, nil
		},
	}
}

func describeLabels(labels map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		texts = append(texts, key+"="+labels[key])
	}
	return strings.Join(texts, ",")
}

// createToken makes a token and prints it, this once.
func (v *verbs) createToken() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "make a token and print it, once",
		Long: "Make a token and print it. It is not shown again: the cluster keeps a hash of it alone. Only a\n" +
			"token with the role admin may do so, such as that of `evenkeel token bootstrap`. A file that the\n" +
			"output goes to is made unreadable for other users.\n\n" +
			"  viewer    reads\n" +
			"  operator  also overrides health and sets weights and admin states of backends\n" +
			"  editor    also writes all other objects\n" +
			"  admin     also tokens, members and snapshots",
		Example: "  evenkeel token create ci --role editor --expires 720h\n" +
			"  evenkeel token create shop --role operator --label team=shop",
		Args: exactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	role := cmd.Flags().String("role", "", "what its holder may do: viewer, operator, editor or admin")
	labels := cmd.Flags().StringArray("label", nil, "limit it to objects with this label, KEY=VALUE (repeatable)")
	expires := cmd.Flags().String("expires", "", "when it ends: a time from now such as 720h, or a date such as 2030-01-31 or 2030-01-31T12:00:00Z (default: never)")
	// The error is for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roleNames(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		token, err := newToken(args[0], *role, *labels, *expires, time.Now())
		if err != nil {
			return err
		}
		c, err := v.conn.client()
		if err != nil {
			return err
		}
		text, made, err := c.CreateToken(cmd.Context(), token, client.Write{})
		if err != nil {
			return err
		}
		return v.printToken(text, made.Object)
	}
	return cmd
}

// newToken reads the flags, and reports all that is wrong with them.
func newToken(name, role string, labels []string, expires string, now time.Time) (client.NewToken, error) {
	token := client.NewToken{Name: name, Role: fsm.Role(role)}
	var faults []string
	switch {
	case role == "":
		faults = append(faults, "--role is missing: give one of "+strings.Join(roleNames(), ", "))
	case !slices.Contains(fsm.Roles(), token.Role):
		faults = append(faults, fmt.Sprintf("--role %q is none of %s", role, strings.Join(roleNames(), ", ")))
	}
	for _, label := range labels {
		key, value, found := strings.Cut(label, "=")
		_, twice := token.Labels[key]
		switch {
		case !found || key == "":
			faults = append(faults, fmt.Sprintf("--label %q is not KEY=VALUE", label))
		case twice:
			faults = append(faults, fmt.Sprintf("--label %q repeats the key: an object has one value for it", label))
		default:
			if token.Labels == nil {
				token.Labels = map[string]string{}
			}
			token.Labels[key] = value
		}
	}
	if expires != "" {
		end, err := parseEnd(expires, now)
		if err != nil {
			faults = append(faults, err.Error())
		}
		token.Expires = &end
	}
	if len(faults) > 0 {
		return token, usage(strings.Join(faults, "\n"))
	}
	return token, nil
}

// parseEnd reads a time from now, a date or a moment, to the second.
func parseEnd(text string, now time.Time) (time.Time, error) {
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		end, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		var span time.Duration
		span, err = time.ParseDuration(text)
		end = now.Add(span)
	}
	if err != nil {
		return end, fmt.Errorf("--expires %q is neither a time from now such as 720h nor a date such as 2030-01-31", text)
	}
	if !end.After(now) {
		return end, fmt.Errorf("--expires %q is past: the token would never be valid", text)
	}
	return end.UTC().Truncate(time.Second), nil
}

func roleNames() []string {
	var names []string
	for _, role := range fsm.Roles() {
		names = append(names, string(role))
	}
	return names
}

// printToken prints the token alone, or all of what was made with it.
func (v *verbs) printToken(text string, made *fsm.Token) error {
	if *v.format == formatTable {
		if _, err := fmt.Fprintf(v.app.Err, "token %s is made, with the role %s; it is not shown again\n", printable(made.Name), made.Spec.Role); err != nil {
			return err
		}
		return v.app.printSecret(text)
	}
	document, err := json.Marshal(struct {
		*fsm.Token
		Text string `json:"token"`
	}{made, text})
	if err != nil {
		return fmt.Errorf("print token: %w", err)
	}
	if err := v.app.protectOutput(); err != nil {
		return err
	}
	return printData(v.app.Out, *v.format, document)
}
