// Package strictjson reads the JSON documents that people and scripts write
// by hand, and tells them everything that is wrong with one at once.
//
// It owns the way from bytes to a typed Go value: syntax errors with line and
// column, duplicate and unknown fields, wrong types, numbers out of range,
// trailing data, and bounds on depth and size. Each fault bears the JSON
// pointer (RFC 6901) of the place as the writer wrote it. It refuses to own
// what the values mean: that is validated by the registry.
//
// Whatever it accepts, encoding/json with DisallowUnknownFields reads to the
// same value. Field names are compared with case.
package strictjson
