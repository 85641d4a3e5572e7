package conformance

// group is a theme of the table.
type group struct {
	name string
	rows func() []row
}

func table() []group {
	return []group{
		{"length", lengthRows},
		{"coding", codingRows},
		{"smuggling", smugglingRows},
		{"chunks", chunkRows},
		{"extensions", extensionRows},
		{"trailers", trailerRows},
		{"method", methodRows},
		{"request line", lineRows},
		{"version", versionRows},
		{"target", targetRows},
		{"absolute target", absoluteRows},
		{"host", hostRows},
		{"field", fieldRows},
		{"bound", boundRows},
		{"hop by hop", hopRows},
		{"forwarding", forwardingRows},
		{"answer", answerRows},
		{"bodiless answer", bodilessRows},
		{"framing of an answer", framingFaultRows},
		{"head of an answer", headFaultRows},
		{"fields of an answer", passedOnRows},
		{"cut answer", cutRows},
		{"interim answer", interimRows},
		{"expectation", expectRows},
		{"pipeline", pipelineRows},
		{"HTTP/1.0", oldRows},
		{"stream", streamRows},
		{"early end", earlyRows},
		{"upgrade", upgradeRows},
		{"retry", retryRows},
		{"nobody to ask", nobodyRows},
		{"time", timeRows},
	}
}
