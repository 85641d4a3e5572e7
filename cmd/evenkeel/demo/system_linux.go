package demo

import "syscall"

// childAttributes keep a terminal's Ctrl-C from the children, whose end is the
// demo's to order, and end them also if the demo is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
