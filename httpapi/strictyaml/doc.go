// Package strictyaml reads the YAML (1.2) that people write by hand into the
// values of package strictjson, and refuses what two readers of YAML would
// understand differently.
//
// It owns the way from bytes to values with their places in the text. It
// refuses to own what the values mean. It takes block and flow collections,
// all five styles of scalars, comments, several documents, anchors and aliases.
// It refuses, each with its place and what to write instead: tabs in the
// indentation, tags, merge keys, keys that are not strings, duplicate keys, and
// plain scalars which some readers take for a boolean or a number and others for
// a string (no, on, 012, 0x1F, 1_000, 10:30, .inf).
//
// There is a parser of its own here, because what an apply needs of one was
// found together in none: a file of 5,000 objects in a fraction of a second,
// memory that is bounded while the text is read and not after, and columns.
// (goccy/go-yaml, which reads the configuration file, takes a second and 120 MB
// for 256 KiB of objects, and does not come to an end with as much of one large
// mapping.) Whatever it accepts, go.yaml.in/yaml reads to the same value: a test
// and a fuzzer hold it to that.
package strictyaml
