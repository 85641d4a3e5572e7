package http1

// Fault is why a message was refused. Faults are static values, compared by
// identity. After one the connection is of no further use: where the next
// message would begin is not known.
type Fault struct {
	Status int    // what a request with it is answered: 400, 414 or 431; a response with any fault is a 502
	Reason string // what is wrong, in lower case
}

// Error names what is wrong.
func (f *Fault) Error() string { return f.Reason }

// Faults of size.
var (
	FaultTargetTooLong  = &Fault{414, "request line is too long"}
	FaultStatusTooLong  = &Fault{502, "status line is too long"}
	FaultLineTooLong    = &Fault{431, "field line is too long"}
	FaultHeadTooLarge   = &Fault{431, "head is too large"}
	FaultTooManyFields  = &Fault{431, "too many fields"}
	FaultTooManyOptions = &Fault{431, "too many names in Connection"}
)

// Faults of lines, RFC 9112 sections 2.2, 3, 4 and 5.
var (
	FaultBareLF      = &Fault{400, "line feed without carriage return"}
	FaultBareCR      = &Fault{400, "carriage return without line feed"}
	FaultControl     = &Fault{400, "control character in a line"}
	FaultEmptyLines  = &Fault{400, "empty lines before the request line"}
	FaultMethod      = &Fault{400, "malformed method"}
	FaultTarget      = &Fault{400, "malformed request target"}
	FaultTargetForm  = &Fault{400, "request target not of a form that the method allows"}
	FaultVersion     = &Fault{400, "malformed or unknown protocol version"}
	FaultStatusLine  = &Fault{502, "malformed status line"}
	FaultFolded      = &Fault{400, "folded field line"}
	FaultFieldName   = &Fault{400, "malformed field name"}
	FaultNameSpace   = &Fault{400, "white space before the colon of a field"}
	FaultNoColon     = &Fault{400, "field line without a colon"}
	FaultConnection  = &Fault{400, "malformed Connection field"}
	FaultSwitch      = &Fault{502, "101 without an upgrade"}
	FaultHostMissing = &Fault{400, "no Host field"}
	FaultHostTwice   = &Fault{400, "more than one Host field"}
	FaultHost        = &Fault{400, "malformed host"}
	FaultUserinfo    = &Fault{400, "user information in a host"}
	FaultPort        = &Fault{400, "malformed port"}
	FaultTargetHost  = &Fault{400, "request target without a host"}
)

// Faults of framing, RFC 9112 sections 6 and 7.
var (
	FaultLength          = &Fault{400, "malformed Content-Length"}
	FaultLengthTwice     = &Fault{400, "more than one Content-Length"}
	FaultLengthAndCoding = &Fault{400, "both Content-Length and Transfer-Encoding"}
	FaultCoding          = &Fault{400, "transfer coding other than exactly chunked"}
	FaultCodingTwice     = &Fault{400, "more than one Transfer-Encoding"}
	FaultCodingVersion   = &Fault{400, "Transfer-Encoding in HTTP/1.0"}
	FaultContent         = &Fault{502, "response that can have no content declares some"}
	FaultChunkSize       = &Fault{400, "malformed chunk size"}
	FaultChunkExtension  = &Fault{400, "malformed chunk extension"}
	FaultChunkTooLong    = &Fault{400, "chunk extensions are too long"}
	FaultChunkEnd        = &Fault{400, "chunk data not followed by its line end"}
	FaultTrailerName     = &Fault{400, "field that must not be in a trailer section"}
	FaultTrailerTooLarge = &Fault{431, "trailer section is too large"}
	FaultTrailerTooMany  = &Fault{431, "too many trailer fields"}
	FaultCutShort        = &Fault{400, "body is cut short"}
	FaultBroken          = &Fault{400, "body was at fault before"}
)
