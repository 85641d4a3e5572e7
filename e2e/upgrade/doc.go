// Package upgrade restarts and replaces the nodes of a cluster one after the
// other while clients of it go on: with the same build, with one of the feature
// level before, and with the earlier build that FROM names.
package upgrade
