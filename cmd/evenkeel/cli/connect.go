package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// connection holds the flags by which a verb reaches the API.
type connection struct {
	app       *App
	api       string
	token     string
	tokenFile string
	timeout   time.Duration
	patience  time.Duration
}

// connectFlags adds the flags of a connection to a command and all below it.
func (a *App) connectFlags(cmd *cobra.Command, timeout time.Duration) *connection {
	c := &connection{app: a}
	fs := cmd.PersistentFlags()
	fs.StringVar(&c.api, "api", "", "address of a node's API, or several with commas, tried in turn (or EVENKEEL_API; default 127.0.0.1:7070)")
	fs.StringVar(&c.token, "token", "", "bearer token; other users of this machine can see it, better use EVENKEEL_TOKEN")
	fs.StringVar(&c.tokenFile, "token-file", "", "file with the bearer token")
	fs.DurationVar(&c.patience, "wait-leader", 3*time.Second, "how long to wait for a cluster that has no leader")
	fs.DurationVar(&c.timeout, "timeout", timeout, "how long to wait for an answer")
	return c
}

// client returns a client of the API that flags and environment name.
func (c *connection) client() (*client, error) {
	if c.token != "" && c.tokenFile != "" {
		return nil, usage("--token and --token-file exclude each other; give one")
	}
	if c.timeout <= 0 {
		return nil, usage(fmt.Sprintf("--timeout %q is no time to wait; give one such as 15s", c.timeout))
	}
	bases, err := parseBases(c.address())
	if err != nil {
		return nil, &UsageError{err}
	}
	token, err := c.findToken()
	if err != nil {
		return nil, err
	}
	return &client{
		bases: bases, token: token,
		http:     &http.Client{Transport: newTransport(c.timeout), Timeout: c.timeout},
		patience: c.patience,
		notice:   func(text string) { fmt.Fprintln(c.app.Err, text) },
	}, nil
}

// address prefers what was said to the client over where the node of the same
// environment listens; the latter lets the verbs work inside of a container.
func (c *connection) address() string {
	for _, address := range []string{c.api, c.app.Getenv("EVENKEEL_API"), c.app.Getenv("EVENKEEL_API_ADDR")} {
		if address != "" {
			return address
		}
	}
	return "127.0.0.1:7070"
}

// findToken looks for a token in the same order, and for the node's own admin
// token last.
func (c *connection) findToken() (string, error) {
	type source struct{ text, file string }
	env := c.app.Getenv
	for _, s := range []source{
		{c.token, c.tokenFile},
		{env("EVENKEEL_TOKEN"), env("EVENKEEL_TOKEN_FILE")},
		{env("EVENKEEL_ADMIN_TOKEN"), env("EVENKEEL_ADMIN_TOKEN_FILE")},
	} {
		if s.text != "" {
			return strings.TrimSpace(s.text), nil
		}
		if s.file != "" {
			data, err := os.ReadFile(s.file)
			if err != nil {
				return "", fmt.Errorf("read token: %w", err)
			}
			return strings.TrimSpace(string(data)), nil
		}
	}
	return "", nil
}
