// Package httpapi is the face of a node for people and scripts: the REST API
// under /v1 with its OpenAPI document, the health endpoints and the metrics.
//
// It owns how registry objects look in JSON, how documents, preconditions and
// refusals map to HTTP, and who may call. It refuses to own the registry
// (package fsm decides what is valid and what a write does) and the cluster:
// what it needs of others are the small interfaces and functions of [Config].
//
// Every kind of object is served by the same handlers; what differs between
// kinds stands in one [resource] each. A request loads the state once and
// answers from it.
package httpapi
