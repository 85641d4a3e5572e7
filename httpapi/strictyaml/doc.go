// Package strictyaml reads the YAML (1.2) that people write by hand into the
// values of package strictjson, and refuses what two readers of YAML would
// understand differently.
//
// It owns what is refused, and in which words: each fault with its place and what
// to write instead. It refuses to own the grammar, which is go.yaml.in/yaml's, and
// what the values mean. It takes block and flow collections, all five styles of
// scalars, comments, several documents, anchors and aliases. It refuses tabs in
// the indentation, tags, merge keys, keys that are not strings, duplicate keys,
// and plain scalars which some readers take for a boolean or a number and others
// for a string (no, on, 012, 0x1F, 1_000, 10:30, .inf). Of faults of the grammar
// the first is told, of all others all.
//
// What a scalar is follows from how it is written, and not from what the library
// resolves it to; whatever is accepted, the library by itself reads to the same
// value, and a test and a fuzzer hold the package to that.
//
// The library builds all nodes of a document before the first can be looked at.
// Texts are therefore bounded before they are read, by their bytes and by how many
// values they can have.
package strictyaml
