package cluster

import (
	"errors"
	"io/fs"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"
)

// damagedError tells that the disk does not hold what was written.
type damagedError struct{ what string }

// Error implements error.
func (e *damagedError) Error() string { return e.what }

// damage calls what went wrong while a file was read damage of that file, unless
// it may pass.
func damage(err error) error {
	if err == nil || passes(err) || isDamage(err) {
		return err
	}
	return &damagedError{err.Error()}
}

func isDamage(err error) bool {
	var d *damagedError
	return errors.As(err, &d)
}

// passes tells whether an error says nothing about what the disk holds: a right
// that is missing, a lock, a full disk, one that does not answer now. A file that
// is not there is another matter.
func passes(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, bolterrors.ErrTimeout)
}
