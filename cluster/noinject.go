//go:build !inject

package cluster

import "github.com/hashicorp/raft"

// injected is the disk as it is: inject.go has the one of the tests.
func injected(d disk) disk { return d }

// injectConfig leaves raft's settings as they are.
func injectConfig(*raft.Config) {}
