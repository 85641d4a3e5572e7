package problem

import "net/http"

// Kind is the last part of a problem's type, for callers that branch on it. A
// released kind keeps its meaning and status.
type Kind string

// The kinds of problems.
const (
	InvalidRequest      Kind = "invalid-request"
	InvalidObject       Kind = "invalid-object"
	Unauthorized        Kind = "unauthorized"
	Forbidden           Kind = "forbidden"
	ForeignOrigin       Kind = "foreign-origin"
	NotFound            Kind = "not-found"
	MethodNotAllowed    Kind = "method-not-allowed"
	BodyTimeout         Kind = "body-timeout"
	Exists              Kind = "exists"
	DuplicateAddress    Kind = "duplicate-address"
	InUse               Kind = "in-use"
	Unconfirmed         Kind = "unconfirmed"
	RegistryFull        Kind = "registry-full"
	Unsafe              Kind = "unsafe"
	Interrupted         Kind = "interrupted"
	Compacted           Kind = "compacted"
	PreconditionFailed  Kind = "precondition-failed"
	BodyTooLarge        Kind = "body-too-large"
	UnsupportedEncoding Kind = "unsupported-encoding"
	UnsupportedMedia    Kind = "unsupported-media-type"
	KeyReused           Kind = "key-reused"
	ForeignHost         Kind = "foreign-host"
	TooManyLogins       Kind = "too-many-logins"
	Internal            Kind = "internal"
	NoQuorum            Kind = "no-quorum"
	Overloaded          Kind = "overloaded"
	Outrun              Kind = "outrun"
	Detached            Kind = "detached"
	Stopping            Kind = "stopping"
	NotReady            Kind = "not-ready"
	NotYet              Kind = "not-yet"
	TooSlow             Kind = "too-slow"
	OutcomeUnknown      Kind = "outcome-unknown"
)

// Entry is what holds for every problem of a kind.
type Entry struct {
	Kind   Kind
	Status int
	Title  string
	// Remedy says what a client can do.
	Remedy string
}

// Catalog returns all kinds of problems, in the order of their status codes.
func Catalog() []Entry {
	return []Entry{
		{InvalidRequest, http.StatusBadRequest, "The request is faulty",
			"Correct the query parameter or header field that the detail names."},
		{InvalidObject, http.StatusBadRequest, "The object is faulty",
			"Correct every item of faults; each pointer (RFC 6901) names a place in the body that was sent. Nothing was changed."},
		{Unauthorized, http.StatusUnauthorized, "A valid token is needed",
			"Send the header field Authorization: Bearer TOKEN with a token that is neither revoked nor expired; evenkeel token bootstrap derives one from the cluster's secret."},
		{Forbidden, http.StatusForbidden, "The token does not allow this",
			"Use a token with the role that the detail names, or one that is not limited to other objects. Nothing was changed."},
		{ForeignOrigin, http.StatusForbidden, "Pages of other sites may not use this API",
			"Call the API from a program, or from a page that the same node serves."},
		{NotFound, http.StatusNotFound, "There is no such thing",
			"Check the path; a list of its collection shows what exists."},
		{MethodNotAllowed, http.StatusMethodNotAllowed, "The method is not allowed here",
			"Use one of the methods in the header field Allow."},
		{BodyTimeout, http.StatusRequestTimeout, "The body did not arrive in time", "Send it again."},
		{Exists, http.StatusConflict, "The name is taken",
			"Choose another name, or replace the object that Location names with PUT."},
		{DuplicateAddress, http.StatusConflict, "The pool has a backend with this address",
			"Use the backend that Location names, or delete it first."},
		{InUse, http.StatusConflict, "Something else needs the object",
			"Change or delete first what the detail names. Nothing was changed."},
		{Unconfirmed, http.StatusConflict, "An unconfirmed change is in the way",
			"Confirm or undo the revision that the detail names, or wait until the cluster has undone it. Nothing was changed."},
		{RegistryFull, http.StatusConflict, "The registry is full", "Delete objects that are no longer needed."},
		{Unsafe, http.StatusConflict, "The members may not be changed so now", "Read the detail, which says what has to be done first. Nothing was changed."},
		{Interrupted, http.StatusConflict, "Another restore has begun", "Decide which of the two it is to be, and send that one again. Nothing was changed."},
		{Compacted, http.StatusGone, "What was there then is no longer known",
			"Go on from a revision that is known: the first page of a list, or a watch with snapshot=true. GET /v1/revisions lists those in the journal, the last 4,096 and fewer of large ones."},
		{PreconditionFailed, http.StatusPreconditionFailed, "The object is not as the request demands",
			"Look at current, which is the object as it is, and decide anew. Nothing was changed."},
		{BodyTooLarge, http.StatusRequestEntityTooLarge, "The body is too large", "Send at most what the detail says."},
		{UnsupportedEncoding, http.StatusUnsupportedMediaType, "The body is encoded", "Send plain JSON, without Content-Encoding."},
		{UnsupportedMedia, http.StatusUnsupportedMediaType, "The body is of another type",
			"Send it with one of the content types that the detail names."},
		{ForeignHost, http.StatusMisdirectedRequest, "The host name is not this node's",
			"Use an IP address or localhost. An API on loopback without a token answers to no other name, because a hostile site could let its own name point here (DNS rebinding)."},
		{KeyReused, http.StatusUnprocessableEntity, "The key was used for another request",
			"Take a new Idempotency-Key for each request, and the same one only to send the same request again. Nothing was changed."},
		{TooManyLogins, http.StatusTooManyRequests, "Too many logins failed",
			"Correct the token, and send it again after the time in Retry-After. Tokens of the registry are looked at in any case."},
		{Internal, http.StatusInternalServerError, "The node failed", "Read the node's log."},
		{NoQuorum, http.StatusServiceUnavailable, "The cluster has no leader",
			"Repeat the request after the time in Retry-After. Nothing was changed; traffic is served on."},
		{Overloaded, http.StatusServiceUnavailable, "Too much is waiting",
			"Repeat the request after the time in Retry-After. Nothing was changed."},
		{Outrun, http.StatusServiceUnavailable, "Others kept changing the same objects",
			"Repeat the request after the time in Retry-After, or write fewer objects at once. Nothing was changed."},
		{Detached, http.StatusServiceUnavailable, "The node is detached from its cluster",
			"Send the request to another node; GET /v1/nodes says why this one is detached."},
		{Stopping, http.StatusServiceUnavailable, "The node stops", "Send the request to another node. Nothing was changed."},
		{NotReady, http.StatusServiceUnavailable, "The node is not ready for traffic", "Wait, or read the detail."},
		{NotYet, http.StatusServiceUnavailable, "The node does not have the revision yet",
			"Repeat the request, or send it to another node; a node that is cut off from the others has it once it is back."},
		{TooSlow, http.StatusServiceUnavailable, "The events were not read in time",
			"Watch again with Last-Event-ID, which loses nothing, and read faster, or watch less by kind, pool, name and label."},
		{OutcomeUnknown, http.StatusGatewayTimeout, "It is not known whether the change was made",
			"Read the object. Repeating a PUT or DELETE is safe; so is repeating a POST that names the object, or that is of a backend."},
	}
}

// Lookup returns the entry of a kind; that of [Internal] if there is none.
func Lookup(kind Kind) Entry {
	entry, ok := find(kind)
	if !ok {
		entry, _ = find(Internal)
	}
	return entry
}

// Known reports whether there is such a kind.
func Known(kind Kind) bool {
	_, ok := find(kind)
	return ok
}

func find(kind Kind) (Entry, bool) {
	for _, entry := range Catalog() {
		if entry.Kind == kind {
			return entry, true
		}
	}
	return Entry{}, false
}
