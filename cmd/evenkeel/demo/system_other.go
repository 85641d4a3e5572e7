//go:build !unix

package demo

import (
	"os"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return nil }

// Signals are those that end a demo in order.
func Signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// terminalSize knows no terminals here: the demo prints lines.
func terminalSize(*os.File) (columns, rows int, ok bool) { return 0, 0, false }
