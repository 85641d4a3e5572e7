// Package cli is the command line's client: the verbs that ask a node's API
// and print its answer.
//
// It owns how answers look and which exit code an outcome has. It refuses to
// own any rule of the registry: what is valid, the API says. Data goes to the
// output, everything else to the error output.
package cli

import (
	"errors"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"evenkeel/client"
)

// App is what the verbs have of the process around them.
type App struct {
	Out, Err io.Writer
	// In is what a file named - holds; nil: the standard input.
	In io.Reader
	// Getenv returns an environment variable, or "".
	Getenv func(name string) string
}

// Commands returns the client's verbs.
func (a *App) Commands() []*cobra.Command {
	verbs := []*cobra.Command{
		a.statusCommand(),
		a.membersCommand(),
		a.healthCommand(),
		a.explainCommand(),
		a.snapshotCommand(),
		a.kindCommand(backendKind()),
		a.kindCommand(poolKind(a)),
		a.kindCommand(routeKind()),
		a.kindCommand(listenerKind(a)),
		a.kindCommand(certificateKind(a)),
		a.tokenCommand(),
		a.validateCommand(),
		a.applyCommand(),
		a.diffCommand(),
		a.exportCommand(),
		a.watchCommand(),
		a.historyCommand(),
		a.rollbackCommand(),
		a.confirmCommand(),
		a.undoCommand(),
		a.secretCommand(),
		a.healthcheckCommand(),
		a.versionCommand(),
	}
	for _, verb := range verbs {
		hint(verb)
	}
	return verbs
}

// hint adds to the errors of a command, and of all below it, what a person can do.
func hint(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return hinted(run(cmd, args)) }
	}
	for _, below := range cmd.Commands() {
		hint(below)
	}
}

// The exit codes of the process.
const (
	ExitOK       = 0
	ExitError    = 1
	ExitUsage    = 2
	ExitConflict = 3 // the object exists, changed meanwhile, is in use or unconfirmed; the key was used
	ExitNoQuorum = 4 // no leader, or a write whose outcome is unknown
	ExitNotFound = 5 // there is no such object, or no longer such a revision
)

// UsageError marks an error of the command line itself.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *UsageError) Unwrap() error { return e.Err }

func usage(text string) error { return &UsageError{errors.New(text)} }

// ExitCode returns the exit code that stands for an error, which may be nil.
func ExitCode(err error) int {
	var usage *UsageError
	var problem *Problem
	var unanswered *UnansweredError
	var own interface{ exitCode() int }
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &unanswered):
		return ExitNotFound
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &own):
		return own.exitCode()
	case errors.As(err, &problem):
		return problemCode(problem)
	}
	return ExitError
}

func problemCode(p *Problem) int {
	switch p.Status {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return ExitConflict
	case http.StatusNotFound, http.StatusGone:
		return ExitNotFound
	case http.StatusGatewayTimeout:
		return ExitNoQuorum
	case http.StatusServiceUnavailable:
		if p.Kind() == client.ProblemNoQuorum {
			return ExitNoQuorum
		}
	}
	return ExitError
}
