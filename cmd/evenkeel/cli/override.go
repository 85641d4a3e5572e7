package cli

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// overrideVerb puts an operator's word in place of the verdict.
func (v *verbs) overrideVerb() *cobra.Command {
	group := Group("override", "say that a backend is up or down, whatever its probes say")
	group.AddCommand(
		v.overrideTo("up", "use a backend whatever its probes say"),
		v.overrideTo("down", "do without a backend whatever its probes say"),
		v.overrideClear(),
	)
	return group
}

func (v *verbs) overrideTo(health, short string) *cobra.Command {
	cmd := &cobra.Command{Use: health + " NAME", Short: short, Args: exactArgs(1), ValidArgsFunction: v.complete}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	span := cmd.Flags().String("for", "", "how long, such as 10m (default: until it is cleared)")
	reason := cmd.Flags().String("reason", "", "why, for people")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]string{"health": health}
		for name, value := range map[string]string{"for": *span, "reason": *reason} {
			if value != "" {
				body[name] = value
			}
		}
		got, err := v.sendOverride(cmd, args[0], call{method: http.MethodPut, body: body})
		if err != nil {
			return err
		}
		return v.printAnswer(got)
	}
	return cmd
}

func (v *verbs) overrideClear() *cobra.Command {
	cmd := &cobra.Command{Use: "clear NAME", Short: "go by the verdict again", Args: exactArgs(1), ValidArgsFunction: v.complete}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := v.sendOverride(cmd, args[0], call{method: http.MethodDelete}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(v.app.Err, "backend %s goes by its verdict\n", args[0])
		return err
	}
	return cmd
}

func (v *verbs) sendOverride(cmd *cobra.Command, name string, request call) (*answer, error) {
	r, err := v.ref(name)
	if err != nil {
		return nil, err
	}
	c, err := v.conn.client()
	if err != nil {
		return nil, err
	}
	request.path = v.path(r) + "/override"
	return c.do(cmd.Context(), request)
}
