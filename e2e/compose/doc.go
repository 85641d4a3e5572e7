// Package compose runs docker-compose.yml as a user does, with the Dockerfile
// as it stands, where a Docker engine is there. Where the Go base image cannot
// be pulled, it makes a stand-in for it from the local toolchain and module
// cache under the same name, and removes that again.
package compose
