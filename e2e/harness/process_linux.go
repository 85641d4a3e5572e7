package harness

import "syscall"

// dieWithParent makes the kernel kill the process when the tests end in a way
// that leaves them no time to do it, such as a timeout.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
